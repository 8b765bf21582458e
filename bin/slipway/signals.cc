#include "signals.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

namespace slip::cli {
namespace {

// The only globals here: a signal handler can be given nothing. Lock-free, so it may read them.
std::atomic<bool> live_region{false};
std::atomic<bool> say_nothing{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void put(const char* text) noexcept {
  [[maybe_unused]] const ssize_t n = ::write(STDERR_FILENO, text, std::strlen(text));
}

extern "C" void on_signal(int number) {
  if (live_region.load()) {
    put("\r\x1b[J");
  }
  if (!say_nothing.load()) {
    put("interrupted; what was finished is kept\n");
  }
  ::_exit(128 + number);
}

}  // namespace

void handle_signals(bool quiet) noexcept {
  say_nothing.store(quiet);
  struct sigaction action{};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGINT, SIGTERM}) {
    // Who started us with the signal ignored (nohup, a shell's background job) meant it.
    struct sigaction before{};
    if (::sigaction(number, nullptr, &before) == 0 && before.sa_handler != SIG_IGN) {
      ::sigaction(number, &action, nullptr);
    }
  }
  ::signal(SIGPIPE, SIG_IGN);
}

void set_live_region(bool there) noexcept { live_region.store(there); }

}  // namespace slip::cli
