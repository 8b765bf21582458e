#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace slip::cli {

class Options;
class Session;

/// One verb of slipway. A command file declares what it takes, calls one library function and prints its answer;
/// it holds no logic worth a unit test. One object serves one call.
class Command {
 public:
  Command() = default;
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;
  virtual ~Command() = default;
  /// Says which arguments, flags and values there are and where they go. The same declarations feed the parser,
  /// `--help`, the reference pages and the completions. Called once, on a fresh object.
  virtual void declare(Options& o) = 0;
  /// Does the work. Returns the exit status (0 done, 1 a check failed); failures are thrown as slip::Error.
  virtual int run(Session& s) = 0;
};

/// The headings of `slipway --help`, in their order. Hidden: found by name, not listed.
enum class Group : std::uint8_t { Build, Run, Share, Deliver, Inspect, Hidden };

/// A row of the command table.
struct Entry {
  std::string_view name;
  Group group;
  std::string_view summary;  ///< one imperative line without a full stop: "Write a commented slipway.yaml"
  std::unique_ptr<Command> (*make)();
};

/// Every command there is, in the order of the help (commands.cc).
std::span<const Entry> commands();

}  // namespace slip::cli
