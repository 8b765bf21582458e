// The service of bench/init.py: what it does is told by its first word. Times are CLOCK_MONOTONIC in nanoseconds, a line each.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char* log_file;

static void note(const char* what) {
  struct timespec now;
  char line[128];
  clock_gettime(CLOCK_MONOTONIC, &now);
  const int size = snprintf(line, sizeof line, "%s %lld\n", what, now.tv_sec * 1000000000ll + now.tv_nsec);
  const int fd = open(log_file, O_WRONLY | O_CREAT | O_APPEND, 0666);
  if (write(fd, line, (size_t)size) < 0) {
    _exit(9);
  }
  close(fd);
}

static void on_term(int signal) {
  (void)signal;
  note("term");
  _exit(0);
}

// Needs 200 ms after TERM.
static void daemon_term(int signal) {
  (void)signal;
  note("daemon-term");
  usleep(200000);
  note("daemon-done");
  _exit(0);
}

int main(int argc, char** argv) {
  if (argc < 3) {
    return 2;
  }
  log_file = argv[2];
  note("start");
  if (strcmp(argv[1], "crash") == 0) {
    return 1;
  }
  signal(SIGTERM, on_term);
  if (strcmp(argv[1], "orphans") == 0) {
    for (int i = 0; i < 20; ++i) {
      const pid_t middle = fork();
      if (middle == 0) {
        if (fork() == 0) {
          usleep(50000);
        }
        _exit(0);
      }
      waitpid(middle, NULL, 0);
    }
    signal(SIGCHLD, SIG_IGN);
    if (fork() == 0) {
      setsid();
      if (fork() == 0) {
        signal(SIGTERM, daemon_term);
        for (;;) {
          pause();
        }
      }
      _exit(0);
    }
  }
  for (;;) {
    pause();
  }
}
