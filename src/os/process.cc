#include "os/process.h"

#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <cstring>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

#include "core/text.h"
#include "os/file.h"

namespace slip::os {
namespace {

// The pidfd calls are made by number: the header of glibc 2.36 declares them without C linkage.

/// A signal's name without touching the locale: "SIGKILL", "signal 40".
std::string signal_name(int signal) {
  const char* name = ::sigabbrev_np(signal);
  return name == nullptr ? format("signal {}", signal) : format("SIG{}", name);
}

struct Pipe {
  Fd read;
  Fd write;
};

Pipe make_pipe() {
  int ends[2];
  call(::pipe2, static_cast<int*>(ends), O_CLOEXEC).or_throw("make a pipe");
  return {Fd(ends[0]), Fd(ends[1])};
}

/// argv[0] as execve() wants it. The folders of PATH are tried in order, as execvp() does, but before the fork.
std::string find_program(const std::string& name, const std::optional<std::map<std::string, std::string>>& env) {
  if (name.find('/') != std::string::npos) {
    if (::access(name.c_str(), F_OK) != 0) {
      throw sys_error(errno, format("run `{}`", name));
    }
    return name;
  }
  std::string path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  if (env) {
    if (const auto it = env->find("PATH"); it != env->end()) {
      path = it->second;
    }
  } else if (const char* ours = std::getenv("PATH"); ours != nullptr) {
    path = ours;
  }
  for (const std::string_view folder : split(path, ':')) {
    std::string candidate = format("{}/{}", folder.empty() ? "." : folder, name);
    if (::access(candidate.c_str(), X_OK) == 0) {
      return candidate;
    }
  }
  throw Error(ErrorKind::NotFound, "run `{}`: no such program in PATH", name)
      .add_hint(format("install the package that holds `{}`", name));
}

/// What the child needs, made before fork(): between fork and exec nothing is allocated.
struct Prepared {
  std::string program;
  std::vector<char*> argv;
  std::vector<std::string> env_text;
  std::vector<char*> envp;
  std::string cwd;
};

Prepared prepare(const Command& command) {
  Prepared p;
  p.program = find_program(command.argv.front(), command.env);
  for (const std::string& arg : command.argv) {
    p.argv.push_back(const_cast<char*>(arg.c_str()));
  }
  p.argv.push_back(nullptr);
  if (command.env) {
    for (const auto& [key, value] : *command.env) {
      p.env_text.push_back(key + "=" + value);
    }
    for (std::string& text : p.env_text) {
      p.envp.push_back(text.data());
    }
    p.envp.push_back(nullptr);
  }
  p.cwd = command.cwd.string();
  return p;
}

[[noreturn]] void exec_child(const Prepared& p, pid_t parent, int in, int out, int err, int report) noexcept {
  const auto give_up = [report]() noexcept {
    const int code = errno;
    [[maybe_unused]] const auto n = ::write(report, &code, sizeof code);
    ::_exit(127);
  };
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) {
    ::_exit(127);  // the parent died before the line above took effect
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  if (::dup2(in, 0) < 0 || ::dup2(out, 1) < 0 || ::dup2(err, 2) < 0) {
    give_up();
  }
  if (!p.cwd.empty() && ::chdir(p.cwd.c_str()) != 0) {
    give_up();
  }
  ::execve(p.program.c_str(), p.argv.data(), p.envp.empty() ? environ : p.envp.data());
  give_up();
  ::_exit(127);
}

/// Moves bytes between the child's three streams and memory until both outputs are closed.
void pump(const Command& command, Fd in, const Fd& out, const Fd& err, CommandResult& result, const Fd& pidfd) {
  using Clock = std::chrono::steady_clock;
  const auto end = command.timeout ? Clock::now() + *command.timeout : Clock::time_point::max();
  std::string_view input = command.input;
  bool out_open = true;
  bool err_open = true;
  std::array<char, 65536> buffer;
  const auto take = [&](const Fd& fd, std::string& to) {
    const long n =
        call(::read, fd.get(), buffer.data(), buffer.size()).or_throw("read the output of `{}`", command.argv[0]);
    if (to.size() + static_cast<std::size_t>(n) > command.output_limit) {
      throw Error(ErrorKind::Invalid, "run `{}`: its output is larger than {}", command.argv[0],
                  human_size(command.output_limit));
    }
    to.append(buffer.data(), static_cast<std::size_t>(n));
    return n != 0;
  };
  bool ended = false;
  while (out_open || err_open) {
    std::array<pollfd, 4> polled{
        pollfd{out_open ? out.get() : -1, POLLIN, 0}, pollfd{err_open ? err.get() : -1, POLLIN, 0},
        pollfd{in.valid() ? in.get() : -1, POLLOUT, 0}, pollfd{ended ? -1 : pidfd.get(), POLLIN, 0}};
    int wait_ms = -1;
    if (command.timeout) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
      if (left <= 0) {
        throw Error(ErrorKind::Unavailable, "run `{}`: it did not end within {}", command.argv[0],
                    human_seconds(std::chrono::duration<double>(*command.timeout).count()));
      }
      wait_ms = static_cast<int>(std::min<long long>(left + 1, 1000000));
    }
    call(::poll, polled.data(), nfds_t{polled.size()}, wait_ms).or_throw("wait for `{}`", command.argv[0]);
    if (polled[0].revents != 0) {
      out_open = take(out, result.out);
    }
    if (polled[1].revents != 0) {
      err_open = take(err, result.err);
    }
    if (polled[2].revents != 0) {
      const SysRet n = call(::write, in.get(), input.data(), std::min<std::size_t>(input.size(), 4096));
      if (n) {
        input.remove_prefix(static_cast<std::size_t>(n.value));
      }
      if (!n || input.empty()) {
        in.reset();  // EPIPE: it does not want the rest
      }
    }
    ended = ended || polled[3].revents != 0;
    if (ended && polled[0].revents == 0 && polled[1].revents == 0) {
      return;  // a grandchild may hold the pipes open for ever; the command itself is gone
    }
  }
}

}  // namespace

std::string ExitStatus::text() const {
  return signal != 0 ? format("killed by {}", signal_name(signal)) : format("exit status {}", code);
}

ExitStatus exit_status_from_wait(int wait_status) noexcept {
  if (WIFSIGNALED(wait_status)) {
    return {0, WTERMSIG(wait_status)};
  }
  return {WEXITSTATUS(wait_status), 0};
}

Child::Child(pid_t pid, Fd pidfd) noexcept : pid_(pid), pidfd_(std::move(pidfd)) {}

Child::~Child() {
  if (pid_ > 0) {
    kill(SIGKILL);
    int status = 0;
    (void)call(::waitpid, pid_, &status, 0);
  }
}

void Child::kill(int signal) const noexcept {
  if (pid_ > 0) {
    ::syscall(SYS_pidfd_send_signal, pidfd_.get(), signal, nullptr, 0U);
  }
}

ExitStatus Child::wait() {
  SLIP_CHECK(pid_ > 0);
  int status = 0;
  const SysRet r = call(::waitpid, pid_, &status, 0);
  pid_ = -1;
  r.or_throw("wait for a process");
  return exit_status_from_wait(status);
}

CommandResult run_command(const Command& command) {
  SLIP_CHECK(!command.argv.empty());
  const Prepared prepared = prepare(command);
  Pipe in = command.input.empty() ? Pipe{} : make_pipe();
  if (command.input.empty()) {
    in.read = open_read("/dev/null");
  }
  Pipe out = make_pipe();
  Pipe err = make_pipe();
  Pipe report = make_pipe();
  // A caller that runs with a closed stdin must not have our pipe ends land on 0..2 and be overwritten by dup2.
  for (Fd* fd : {&in.read, &out.write, &err.write, &report.write}) {
    if (fd->get() < 3) {
      *fd = Fd(static_cast<int>(
          call([](int f) { return ::fcntl(f, F_DUPFD_CLOEXEC, 3); }, fd->get()).or_throw("duplicate a descriptor")));
    }
  }
  const pid_t parent = ::getpid();
  const auto pid = static_cast<pid_t>(call(::fork).or_throw("start `{}`", command.argv[0]));
  if (pid == 0) {
    exec_child(prepared, parent, in.read.get(), out.write.get(), err.write.get(), report.write.get());
  }
  Child child(pid, Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U))));
  for (Fd* fd : {&in.read, &out.write, &err.write, &report.write}) {
    fd->reset();
  }
  int code = 0;
  if (call(::read, report.read.get(), &code, sizeof code).value == sizeof code) {
    (void)child.wait();
    throw sys_error(code, format("run `{}`", command.argv[0]));
  }
  if (in.write.valid()) {
    call([](int f) { return ::fcntl(f, F_SETFL, O_NONBLOCK); }, in.write.get()).or_throw("set up a pipe");
  }
  // A reader that goes away must give us EPIPE, not the end of the whole program.
  sigset_t pipe_signal;
  sigset_t before;
  ::sigemptyset(&pipe_signal);
  ::sigaddset(&pipe_signal, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  CommandResult result;
  const auto restore = [&]() noexcept {
    const timespec now{};
    if (sigismember(&before, SIGPIPE) == 0) {
      ::sigtimedwait(&pipe_signal, nullptr, &now);
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  };
  try {
    pump(command, std::move(in.write), out.read, err.read, result, child.pidfd());
  } catch (...) {
    restore();
    throw;
  }
  restore();
  result.status = child.wait();
  return result;
}

std::string run_checked(const Command& command) {
  CommandResult result = run_command(command);
  if (result.status.ok()) {
    return std::move(result.out);
  }
  Error error(ErrorKind::Unavailable, "run `{}`: {}", command.argv[0], result.status.text());
  const std::vector<std::string_view> lines = split(trim(result.err), '\n');
  const std::size_t first = lines.size() > 5 ? lines.size() - 5 : 0;
  for (std::size_t i = first; i < lines.size(); ++i) {
    if (!trim(lines[i]).empty()) {
      error.add_cause(printable(trim(lines[i])));
    }
  }
  throw error;
}

namespace {
template <class Lookup>
std::optional<User> find_user(Lookup lookup) {
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer(4096);
  while (lookup(&entry, buffer.data(), buffer.size(), &found) == ERANGE && buffer.size() < (1u << 20)) {
    buffer.resize(buffer.size() * 2);
  }
  if (found == nullptr) {
    return std::nullopt;
  }
  return User{entry.pw_name, entry.pw_uid, entry.pw_gid, entry.pw_dir, entry.pw_shell};
}
}  // namespace

std::optional<User> user_by_id(std::uint32_t uid) {
  return find_user([uid](passwd* p, char* b, std::size_t n, passwd** f) { return ::getpwuid_r(uid, p, b, n, f); });
}

std::optional<User> user_by_name(const std::string& name) {
  return find_user(
      [&](passwd* p, char* b, std::size_t n, passwd** f) { return ::getpwnam_r(name.c_str(), p, b, n, f); });
}

void send_fd(const Fd& socket, const Fd& fd) {
  char byte = 'f';
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  const int number = fd.get();
  std::memcpy(CMSG_DATA(header), &number, sizeof number);
  call([&] { return ::sendmsg(socket.get(), &message, MSG_NOSIGNAL); }).or_throw("hand a descriptor over");
}

Fd receive_fd(const Fd& socket) {
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  call([&] { return ::recvmsg(socket.get(), &message, MSG_CMSG_CLOEXEC); }).or_throw("take a descriptor");
  const cmsghdr* header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) {
    return {};
  }
  int received = -1;
  std::memcpy(&received, CMSG_DATA(header), sizeof received);
  return Fd(received);
}

}  // namespace slip::os
