#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "os/fd.h"

namespace slip::os {

/// How a process ended: an exit status 0–255, or the signal that killed it.
struct ExitStatus {
  int code = 0;    ///< exit status when signal == 0
  int signal = 0;  ///< 0, or the terminating signal
  [[nodiscard]] bool ok() const noexcept { return code == 0 && signal == 0; }
  /// What a shell would report: code, or 128 + signal.
  [[nodiscard]] int shell_status() const noexcept { return signal != 0 ? 128 + signal : code; }
  /// "exit status 3", "killed by SIGKILL".
  [[nodiscard]] std::string text() const;
};
ExitStatus exit_status_from_wait(int wait_status) noexcept;

/// A command to run on the host and wait for.
struct Command {
  std::vector<std::string> argv;                          ///< argv[0] is looked up in PATH when it has no slash
  std::optional<std::map<std::string, std::string>> env;  ///< the whole environment; nullopt: ours
  std::filesystem::path cwd;                              ///< empty: ours
  std::string input;                                      ///< stdin; empty means /dev/null
  std::size_t output_limit = 64u << 20;                   ///< more output than this is an error
  std::optional<std::chrono::milliseconds> timeout;       ///< SIGKILL and an error afterwards
};
struct CommandResult {
  ExitStatus status;
  std::string out;
  std::string err;
};
/// Runs a command, with both output streams captured. The child dies with us (PR_SET_PDEATHSIG).
/// @throws Error NotFound when argv[0] does not exist; Unavailable on time-out
CommandResult run_command(const Command& command);
/// As above, but any status but 0 is an Error whose causes hold the last lines of stderr.
std::string run_checked(const Command& command);

/// A child process of ours: killed and reaped when the object goes and nobody waited for it.
class Child {
 public:
  Child() = default;
  /// Takes over a process that nobody else will wait for. `pidfd` refers to it.
  Child(pid_t pid, Fd pidfd) noexcept;
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), pidfd_(std::move(other.pidfd_)) {}
  Child& operator=(Child&&) = delete;
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child();
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  /// Readable (poll) once the process has ended.
  [[nodiscard]] const Fd& pidfd() const noexcept { return pidfd_; }
  /// Sends a signal; a process that has ended is not an error.
  void kill(int signal) const noexcept;
  /// Waits for the end; once.
  ExitStatus wait();

 private:
  pid_t pid_ = -1;
  Fd pidfd_;
};

/// Sends a descriptor over a Unix socket, and takes one. @return an invalid Fd when the other side went
void send_fd(const Fd& socket, const Fd& fd);
Fd receive_fd(const Fd& socket);

/// A row of the user data base.
struct User {
  std::string name;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string home;
  std::string shell;
};
std::optional<User> user_by_id(std::uint32_t uid);
std::optional<User> user_by_name(const std::string& name);

}  // namespace slip::os
