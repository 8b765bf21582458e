#include "launch/child.h"
#include "launch/ownership.h"

#include <seccomp.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memory>

#include "launch/refusals.h"
#include "os/file.h"

namespace slip::launch {
namespace {

using Context = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

void check(int result, const char* what) {
  if (result < 0) {
    throw os::sys_error(-result, format("compile the system call filter: {}", what));
  }
}

void add(const Context& filter, const Refusal& refusal) {
  const int number = refusal.number >= 0 ? refusal.number : seccomp_syscall_resolve_name(refusal.name.c_str());
  if (number == __NR_SCMP_ERROR) {
    return;  // this architecture or this release of the library does not know it
  }
  std::vector<scmp_arg_cmp> conditions;
  for (const Condition& c : refusal.conditions) {
    conditions.push_back({c.argument, SCMP_CMP_MASKED_EQ, c.mask, c.value});
  }
  check(seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(static_cast<unsigned>(refusal.err) & 0xffffU), number,
                               static_cast<unsigned>(conditions.size()), conditions.data()),
        refusal.name.c_str());
}

std::vector<sock_filter> export_program(const Context& filter) {
  const os::Fd file(
      static_cast<int>(os::call(::memfd_create, "filter", unsigned{MFD_CLOEXEC}).or_throw("make a file in memory")));
  check(seccomp_export_bpf(filter.get(), file.get()), "export");
  std::vector<sock_filter> program(os::file_size(file, "filter") / sizeof(sock_filter));
  os::call(::pread, file.get(), program.data(), program.size() * sizeof(sock_filter), off_t{0})
      .or_throw("read the filter");
  return program;
}

/// A filter that lets everything pass but calls of foreign architectures.
Context empty_filter() {
  Context filter(seccomp_init(SCMP_ACT_ALLOW), [](scmp_filter_ctx c) { seccomp_release(c); });
  SLIP_CHECK(filter != nullptr);
  check(seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "foreign architectures");
  // A balanced tree: the cost of a call does not grow with its place in the list.
  check(seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), "optimise");
  return filter;
}

Context deny_list(bool refuse_set_id) {
  Context filter = empty_filter();
  for (const Refusal& refusal : workspace_refusals(refuse_set_id)) {
    add(filter, refusal);
  }
  return filter;
}

/// Calls about owners and ids: answered by the supervisor.
constexpr const char* kOwnership[] = {
    "chown",  "fchown", "lchown",   "fchownat", "stat",      "lstat",     "fstat",    "newfstatat", "statx",
    "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid",   "setgroups",
    "getuid", "getgid", "geteuid",  "getegid",  "getresuid", "getresgid", "getgroups"};

}  // namespace

std::vector<sock_filter> workspace_filter(bool refuse_set_id) { return export_program(deny_list(refuse_set_id)); }

std::vector<sock_filter> inherited_filter(bool refuse_set_id) {
  const Context filter = empty_filter();
  for (const Refusal& refusal : workspace_refusals(refuse_set_id)) {
    if (refusal.number >= 0) {
      add(filter, refusal);
    }
  }
  return export_program(filter);
}

std::vector<sock_filter> ownership_filter() {
  const Context filter = deny_list(false);
  for (const char* name : kOwnership) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number != __NR_SCMP_ERROR) {
      check(seccomp_rule_add(filter.get(), SCMP_ACT_NOTIFY, number, 0), name);
    }
  }
  return export_program(filter);
}

}  // namespace slip::launch
