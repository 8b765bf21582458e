#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "core/error.h"
#include "serving/app/app.h"
#include "serving/tf/describe.h"
#include "serving/base/log.h"
#include "serving/base/options.h"
#include "serving/app/probe.h"

namespace {

using slip::serving::Options;

/// Signals are blocked in every thread and taken here, so that no handler interrupts anything.
sigset_t block_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return set;
}

bool stop_asked(const sigset_t& signals) {
  const timespec wait{0, 100'000'000};
  return ::sigtimedwait(&signals, nullptr, &wait) > 0;
}

/// Installed, TensorFlow's libraries lie in lib/slipway beside bin.
std::string default_tensorflow() {
  std::error_code error;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
  return (self.parent_path().parent_path() / "lib/slipway/tensorflow").string();
}

/// oneDNN's kernels round differently from those that training used by default; pin the choice and say so.
void pin_onednn(slip::serving::Log& log) {
  ::setenv("TF_ENABLE_ONEDNN_OPTS", "0", 0);
  ::setenv("TF_CPP_MIN_LOG_LEVEL", "2", 0);
  log.info("numerics pinned", {{"TF_ENABLE_ONEDNN_OPTS", std::string(std::getenv("TF_ENABLE_ONEDNN_OPTS"))}});
}

/// Few heaps for many threads: each keeps what its own threads once needed, and a version's memory is spread over all.
void share_heaps() {
  const unsigned cores = std::thread::hardware_concurrency();
  ::mallopt(M_ARENA_MAX, static_cast<int>(std::max(1u, cores / 2)));
}

int serve(Options options) {
  share_heaps();
  const sigset_t signals = block_signals();
  slip::serving::Log log(options.log_format == "text" ? slip::serving::Log::Form::Text
                                                      : slip::serving::Log::Form::Json);
  if (options.tensorflow.empty()) {
    options.tensorflow = default_tensorflow();
  }
  pin_onednn(log);
  slip::serving::App app(std::move(options), log);
  return app.run([&] { return stop_asked(signals); });
}

int describe(const Options& options) {
  ::setenv("TF_CPP_MIN_LOG_LEVEL", "2", 0);
  const std::string folder = options.tensorflow.empty() ? default_tensorflow() : options.tensorflow;
  std::fputs(slip::serving::describe_runtime(slip::serving::load_tensorflow(folder)).c_str(), stdout);
  return 0;
}

int report(const slip::Error& error) {
  std::string text = "error: " + error.joined() + "\n";
  for (const auto& hint : error.hints()) {
    text += "hint: " + hint + "\n";
  }
  std::fputs(text.c_str(), stderr);
  return error.kind() == slip::ErrorKind::Usage ? 2 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  int status = 1;
  try {
    Options options = slip::serving::read_options(std::vector<std::string>(argv + 1, argv + argc));
    if (options.help) {
      std::fputs(slip::serving::help_text().c_str(), stdout);
      return 0;
    }
    if (options.version) {
      std::puts("slipway-serve " SLIP_VERSION);
      return 0;
    }
    if (options.probe) {
      std::string answer;
      const bool ready = slip::serving::probe(options, answer);
      std::fputs(answer.c_str(), stdout);
      return ready ? 0 : 1;
    }
    status = options.describe_runtime ? describe(options) : serve(std::move(options));
  } catch (const slip::Error& error) {
    status = report(error);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
  }
  // TensorFlow's own threads outlive main() and may touch what exit handlers destroy.
  std::fflush(nullptr);
  ::_exit(status);
}
