#include "workspace/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <unistd.h>

#include "core/error.h"
#include "core/text.h"
#include "os/fd.h"
#include "os/file.h"

namespace slip::workspace {
namespace {

/// Where the child finds its end of the pipe.
constexpr int kReadyFd = 3;

struct Actions {
  posix_spawn_file_actions_t files{};
  posix_spawnattr_t attributes{};
  Actions() {
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawnattr_init(&attributes);
  }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
  ~Actions() {
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
  }
};

Error not_started(const std::filesystem::path& log) {
  Error error(ErrorKind::Unavailable, "the workspace did not start");
  const std::string text = os::read_file_if_any(log).value_or("");
  for (const std::string_view line : split(trim(text), '\n')) {
    if (!trim(line).empty()) {
      error.add_cause(std::string(line.starts_with("error: ") ? line.substr(7) : line));
    }
  }
  return error;
}

}  // namespace

void spawn_detached(std::vector<std::string> argv, const std::filesystem::path& log) {
  argv.push_back(std::to_string(kReadyFd));
  std::vector<char*> words;
  for (std::string& word : argv) {
    words.push_back(word.data());
  }
  words.push_back(nullptr);
  int ends[2];
  os::call(::pipe2, static_cast<int*>(ends), O_CLOEXEC).or_throw("make a pipe");
  const os::Fd ready(ends[0]);
  // Above the place it gets in the child: dup2 onto itself would leave it close-on-exec.
  os::Fd told(static_cast<int>(os::call(::fcntl, ends[1], F_DUPFD_CLOEXEC, kReadyFd + 1).or_throw("make a pipe")));
  ::close(ends[1]);

  Actions actions;
  ::posix_spawn_file_actions_addopen(&actions.files, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addopen(&actions.files, 1, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ::posix_spawn_file_actions_adddup2(&actions.files, 1, 2);
  ::posix_spawn_file_actions_adddup2(&actions.files, told.get(), kReadyFd);
  ::posix_spawn_file_actions_addchdir_np(&actions.files, "/");
  sigset_t all;
  sigset_t none;
  ::sigfillset(&all);
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigdefault(&actions.attributes, &all);
  ::posix_spawnattr_setsigmask(&actions.attributes, &none);
  ::posix_spawnattr_setflags(&actions.attributes,
                             POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  pid_t pid = -1;
  const int failed =
      ::posix_spawn(&pid, words[0], &actions.files, &actions.attributes, words.data(), environ);
  if (failed != 0) {
    throw os::sys_error(failed, format("start `{}`", argv[0]));
  }
  told.reset();
  char byte = 0;
  if (os::call(::read, ready.get(), &byte, std::size_t{1}).value != 1) {
    throw not_started(log);
  }
}

}  // namespace slip::workspace
