#pragma once

#include <linux/filter.h>
#include <sys/types.h>

#include <climits>
#include <cstdint>
#include <string>
#include <vector>

/// What happens between clone and exec. Everything is prepared by the parent in a Setup; the child only walks it: no
/// allocation, no lock, no exception, no stdio, because another thread may have held any lock when it was copied.
namespace slip::launch {

/// The steps of the child, for the record it sends when one of them fails.
enum class Step : std::uint8_t {
  Go,
  Enter,
  CgroupNamespace,
  Ids,
  Propagation,
  Loopback,
  Hostname,
  Base,
  Lower,
  Upper,
  Overlay,
  Proc,
  Dev,
  Pts,
  Tmpfs,
  Sys,
  Mask,
  MountTarget,
  Mount,
  Home,
  Pivot,
  ReadOnly,
  WorkingDirectory,
  Terminal,
  NoNewPrivileges,
  Capabilities,
  Filter,
  Fork,
  Streams,
  Limits,
  Find,
  Exec,
  Bundle,
  Container,
};
/// "mount the overlay of the image": what the step attempted, for people.
const char* text_of(Step step) noexcept;

enum class RecordKind : std::uint8_t { Failure, Listener, Terminal, Init, Ready };

/// What a child sends: one packet, so never torn. Listener, Terminal and Init (a pidfd) carry a descriptor, and so does
/// a Failure of Step::Container: the log of the runtime.
struct Record {
  RecordKind kind = RecordKind::Failure;
  Step step = Step::Go;
  std::int32_t err = 0;
  char detail[240] = {};
};
static_assert(sizeof(Record) < PIPE_BUF);

/// One tree of the host to be shown inside.
struct Bind {
  int tree = -1;  ///< detached mount made by the parent; -1: the child clones `source` itself
  std::string source;
  std::string target;  ///< absolute, inside
  bool read_only = true;
  bool recursive = true;
  bool device = false;  ///< a device node: mounted without nodev
  bool operator<(const Bind& other) const { return target < other.target; }
};

/// Everything the child needs. Strings are read through c_str() only.
struct Setup {
  int go = -1;      ///< one byte arrives when ids and cgroups are set; end of file: the parent is gone
  int report = -1;  ///< SOCK_SEQPACKET for Records
  int enter = -1;   ///< pidfd of the process whose namespaces run_entered() joins
  int status = -1;  ///< the reaper writes the command's wait status (an int) here
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  bool loopback = true;
  bool build = false;  ///< Filter::Build: keeps some capabilities, no sysfs
  bool writable_root = false;
  bool new_session = false;
  bool terminal = false;
  bool direct = false;
  bool listener = false;
  std::string hostname;
  Bind lower;
  Bind state;         ///< folder that holds upper and work; empty source and tree: in memory
  std::string upper;  ///< name in it
  std::string work;
  int upper_fd = -1;  ///< opened by the parent inside state.tree; -1: the child opens the names itself
  int work_fd = -1;
  std::string tmpfs_size;  ///< "size=…" value for memory-backed trees; empty: the kernel's default
  std::string shm_size;
  std::vector<Bind> binds;            ///< parents before children
  std::vector<std::string> writable;  ///< folders inside that stay writable under a read-only root
  std::string cwd;
  std::vector<std::string> argv_text;
  std::vector<char*> argv;
  std::vector<std::string> env_text;
  std::vector<char*> envp;
  std::vector<std::string> candidates;  ///< where argv[0] may lie, in order
  int in = -1;
  int out = -1;
  int err = -1;
  std::uint64_t max_processes = 0;  ///< RLIMIT_NPROC; 0: none
  std::vector<sock_filter> filter;
};

/// The child's whole life: sets everything up and execs the command, or sends a Failure and exits with 127.
[[noreturn]] void run_child(const Setup& setup) noexcept;
/// The same for a command that joins the namespaces of a running process.
[[noreturn]] void run_entered(const Setup& setup) noexcept;

}  // namespace slip::launch
