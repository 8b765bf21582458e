// slipway: the story of one call. Find the command, read its words, do it, say how it ended.
#include <malloc.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "command.h"
#include "core/error.h"
#include "help.h"
#include "options.h"
#include "progress.h"
#include "report.h"
#include "session.h"
#include "signals.h"

namespace slip::cli {
namespace {

/// The command line taken apart: the command's name is the first word that is no option.
struct Call {
  std::string command;
  std::vector<std::string> words;  ///< all others, in order
};

Call take_apart(int argc, char** argv) {
  Call call;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (call.command.empty() && !word.starts_with('-')) {
      call.command = word;
    } else {
      call.words.push_back(word);
    }
  }
  return call;
}

/// Whether --json stands among our own words; known before they are parsed, so that a wrong one is told as a record.
bool wants_json(const Call& call) {
  for (const std::string& word : call.words) {
    if (word == "--") {
      return false;
    }
    if (word == "--json") {
      return true;
    }
  }
  return false;
}

std::unique_ptr<Printer> make_events(const Terminal& err, const Globals& globals) {
  const Loudness loudness{globals.quiet, globals.verbose, !globals.no_progress};
  if (err.live() && globals.verbose == 0 && globals.quiet == 0 && !globals.no_progress) {
    return std::make_unique<LiveEvents>(err, loudness);
  }
  return std::make_unique<PlainEvents>(err, loudness);
}

int perform(const Call& call, Globals& globals) {
  Options common;
  globals.declare(common);
  if (call.command.empty()) {
    parse_words(call.words, "", Options{}, common);
    const Terminal out(1, globals.color);
    out.write(globals.version ? "slipway " SLIP_VERSION "\n" : overview(out));
    return globals.version || globals.help ? 0 : 2;
  }
  const Entry& entry = find_command(call.command);
  const std::unique_ptr<Command> command = entry.make();
  Options own;
  command->declare(own);
  parse_words(call.words, entry.name, own, common);
  const Terminal out(1, globals.color);
  const Terminal err(2, globals.color);
  if (globals.help) {
    out.write(help_of(entry, out));
    return 0;
  }
  handle_signals(globals.quiet > 0);
  const std::unique_ptr<Printer> events = make_events(err, globals);
  Session session(globals, *events, out, err);
  try {
    const int status = command->run(session);
    events->finish();
    return status;
  } catch (...) {
    events->finish();
    throw;
  }
}

int run(int argc, char** argv) {
  const Call call = take_apart(argc, argv);
  Globals globals;
  try {
    return perform(call, globals);
  } catch (const Error& error) {
    if (wants_json(call)) {
      Terminal(1, "never").write(render_json(error) + "\n");
    } else if (globals.quiet < 2) {
      const Terminal err(2, globals.color);
      err.write(render(error, err));
    }
    return exit_status_of(error);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n\nhint: this should not happen; please report it with the command you ran\n",
                 error.what());
    return 2;
  }
}

/// A build passes many buffers of some megabytes through several threads. Left alone, glibc keeps them all, an arena a
/// thread: that costs a third of the peak. Fixed thresholds give them back at once.
void keep_memory_small() {
  ::mallopt(M_ARENA_MAX, 2);
  ::mallopt(M_MMAP_THRESHOLD, 256 * 1024);
  ::mallopt(M_TRIM_THRESHOLD, 2 * 1024 * 1024);
}

}  // namespace
}  // namespace slip::cli

int main(int argc, char** argv) {
  slip::cli::keep_memory_small();
  return slip::cli::run(argc, argv);
}
