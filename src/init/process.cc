#include "init/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace slip::init {
namespace {

constexpr unsigned kMaxProcesses = 4096;

[[noreturn]] void give_up(int fd) {
  const int error = errno;
  // If nobody hears it, the exit status still tells.
  const ssize_t told = ::write(fd, &error, sizeof error);
  ::_exit(told == sizeof error && error == ENOENT ? 127 : 126);
}

/// Past the library, which keeps some signals for itself.
void set_mask(const sigset_t* mask, sigset_t* before) {
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, mask, before, size_t{8});
}

void give_back(const Inherited& inherited) {
  if (inherited.child_ignored) {
    ::signal(SIGCHLD, SIG_IGN);
  }
  set_mask(&inherited.mask, nullptr);
}

const char* path_of(char** environment) {
  for (char** at = environment; *at != nullptr; ++at) {
    if (strncmp(*at, "PATH=", 5) == 0) {
      return *at + 5;
    }
  }
  return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/// execvpe with the PATH of the program's own environment.
void exec_in(const char* const* argv, char** environment) {
  const auto words = const_cast<char* const*>(argv);
  if (strchr(argv[0], '/') != nullptr) {
    ::execve(argv[0], words, environment);
    return;
  }
  int error = ENOENT;
  for (const char* at = path_of(environment); at != nullptr;) {
    const char* colon = strchr(at, ':');
    const size_t size = colon != nullptr ? static_cast<size_t>(colon - at) : strlen(at);
    char path[4096] = {};
    Writer out(path, sizeof path - 1);
    out.text(size == 0 ? Text(".") : Text(at, size)).text("/").text(argv[0]);
    if (!out.full()) {
      ::execve(path, words, environment);
    }
    if (errno == EACCES) {
      error = EACCES;  // one that may not be run is better news than none
    } else if (errno != ENOENT && errno != ENOTDIR) {
      return;
    }
    at = colon != nullptr ? colon + 1 : nullptr;
  }
  errno = error;
}

/// Ours with the service's variables over it. Bounded: what does not fit is an error.
bool merge(const Service& service, const char* notify, char** environment, char** merged, size_t room) {
  size_t count = 0;
  const auto key_size = [](const char* entry) {
    const char* equals = strchr(entry, '=');
    return equals != nullptr ? static_cast<size_t>(equals - entry) : strlen(entry);
  };
  const auto replaced = [&](const char* entry) {
    const Text key(entry, key_size(entry));
    if (key == "NOTIFY_SOCKET") {
      return true;
    }
    for (unsigned i = 0; i < service.env_count; ++i) {
      if (Text(service.env[i], key_size(service.env[i])) == key) {
        return true;
      }
    }
    return false;
  };
  for (char** at = environment; *at != nullptr; ++at) {
    if (!replaced(*at)) {
      if (count + service.env_count + 2 > room) {
        errno = E2BIG;
        return false;
      }
      merged[count++] = *at;
    }
  }
  for (unsigned i = 0; i < service.env_count; ++i) {
    merged[count++] = const_cast<char*>(service.env[i]);
  }
  if (notify != nullptr) {
    merged[count++] = const_cast<char*>(notify);
  }
  merged[count] = nullptr;
  return true;
}

struct Pipe {
  int read = -1;
  int write = -1;
  bool open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) {
      return false;
    }
    read = ends[0];
    write = ends[1];
    return true;
  }
  void close() const {
    if (read >= 0) {
      ::close(read);
      ::close(write);
    }
  }
};

void close_on_fork_error(Child& child, const Pipe& a, const Pipe& b, const Pipe& c) {
  child.error = errno;
  a.close();
  b.close();
  c.close();
}

char* g_environment[4096];

}  // namespace

sigset_t every_signal() {
  sigset_t all;
  memset(&all, 0xff, sizeof all);
  return all;
}

Inherited take_signals() {
  Inherited inherited;
  struct sigaction child{};
  ::sigaction(SIGCHLD, nullptr, &child);
  inherited.child_ignored = child.sa_handler == SIG_IGN;
  ::signal(SIGCHLD, SIG_DFL);
  sigset_t all = every_signal();
  const int faults[] = {SIGSEGV, SIGBUS,  SIGFPE, SIGILL,
                        SIGTRAP, SIGABRT, SIGSYS};  // blocked, they would kill us unseen
  for (const int fault : faults) {
    ::sigdelset(&all, fault);
  }
  ::sigemptyset(&inherited.mask);
  set_mask(&all, &inherited.mask);
  return inherited;
}

Child start_service(const Service& service, const char* notify_socket, char** environment, const Inherited& inherited) {
  Child child;
  Pipe exec;
  Pipe out;
  Pipe err;
  if (!exec.open() || !out.open() || !err.open()) {
    close_on_fork_error(child, exec, out, err);
    return child;
  }
  child.pid = ::fork();
  if (child.pid == 0) {
    ::setsid();
    const int null = ::open("/dev/null", O_RDONLY | O_NOCTTY);  // NOLINT(android-cloexec-open): closed below
    if (null > 0) {
      ::dup2(null, 0);
      ::close(null);
    } else if (null < 0) {
      ::close(0);
    }
    ::dup2(out.write, 1);
    ::dup2(err.write, 2);
    if (service.cwd != nullptr && ::chdir(service.cwd) != 0) {
      give_up(exec.write);
    }
    give_back(inherited);
    if (merge(service, notify_socket, environment, g_environment, sizeof g_environment / sizeof *g_environment)) {
      exec_in(service.argv, g_environment);
    }
    give_up(exec.write);
  }
  if (child.pid < 0) {
    close_on_fork_error(child, exec, out, err);
    return child;
  }
  ::close(exec.write);
  ::close(out.write);
  ::close(err.write);
  ::fcntl(out.read, F_SETFL, O_NONBLOCK);
  ::fcntl(err.read, F_SETFL, O_NONBLOCK);
  child.exec_fd = exec.read;
  child.out = out.read;
  child.err = err.read;
  return child;
}

Child start_command(char** argv, bool group, const Inherited& inherited) {
  Child child;
  Pipe exec;
  if (!exec.open()) {
    child.error = errno;
    return child;
  }
  child.pid = ::fork();
  if (child.pid == 0) {
    if (group) {
      ::setpgid(0, 0);
    }
    give_back(inherited);
    exec_in(argv, ::environ);
    give_up(exec.write);
  }
  if (child.pid < 0) {
    close_on_fork_error(child, exec, {}, {});
    return child;
  }
  if (group) {
    ::setpgid(child.pid, child.pid);  // whoever is first; signals may come at once
  }
  ::close(exec.write);
  child.exec_fd = exec.read;
  return child;
}

namespace {

struct Process {
  pid_t pid;
  pid_t parent;
  bool zombie;
};
Process g_processes[kMaxProcesses];

/// Parent and state out of /proc/PID/stat: "PID (NAME) STATE PPID …", where NAME may hold anything.
bool read_stat(const char* pid, Process& process) {
  char path[64] = {};
  Writer(path, sizeof path - 1).text("/proc/").text(pid).text("/stat");
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return false;
  }
  char text[512];
  const ssize_t size = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  if (size <= 0) {
    return false;
  }
  text[size] = '\0';
  const char* behind = strrchr(text, ')');
  if (behind == nullptr || strlen(behind) < 4) {
    return false;
  }
  process.pid = ::atoi(pid);
  process.zombie = behind[2] == 'Z' || behind[2] == 'X';
  process.parent = ::atoi(behind + 4);
  return true;
}

unsigned list_processes() {
  DIR* folder = ::opendir("/proc");
  if (folder == nullptr) {
    return 0;
  }
  unsigned count = 0;
  while (const struct dirent* entry = ::readdir(folder)) {
    if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && count < kMaxProcesses &&
        read_stat(entry->d_name, g_processes[count])) {
      ++count;
    }
  }
  ::closedir(folder);
  return count;
}

bool is_ours(unsigned at, unsigned count) {
  pid_t parent = g_processes[at].parent;
  for (unsigned steps = 0; steps < count && parent > 0; ++steps) {
    if (parent == ::getpid()) {
      return true;
    }
    unsigned next = 0;
    while (next < count && g_processes[next].pid != parent) {
      ++next;
    }
    if (next == count) {
      return false;
    }
    parent = g_processes[next].parent;
  }
  return false;
}

}  // namespace

unsigned signal_all(int signal) {
  const bool first = ::getpid() == 1;
  const unsigned count = list_processes();
  unsigned found = 0;
  for (unsigned i = 0; i < count; ++i) {
    const Process& process = g_processes[i];
    if (process.pid == ::getpid() || process.zombie || (!first && !is_ours(i, count))) {
      continue;
    }
    ++found;
    if (!first && signal != 0) {
      ::kill(process.pid, signal);
    }
  }
  if (first && signal != 0) {
    ::kill(-1, signal);  // all of our namespace, and only as its PID 1
  }
  return found;
}

}  // namespace slip::init
