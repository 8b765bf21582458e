#include <charconv>
#include <iostream>
#include <iterator>

#include "command.h"
#include "core/error.h"
#include "model/ask.h"
#include "options.h"
#include "session.h"

namespace slip::cli {
namespace {

/// The process that talks to a model which is being proven, from inside its network. `slipway ship` starts it; people
/// do not.
class Ask final : public Command {
 public:
  void declare(Options& o) override {
    o.about("Sends HTTP requests from stdin to a server inside. `slipway ship` starts this by itself.");
    o.arg("PID", pid_, "a process inside").required();
    o.arg("PORT", port_, "the server's port there").required();
    o.example("slipway ask 4711 8501", "what `slipway ship` runs to prove a model");
    o.example("slipway ship ./model", "make an image that serves a model");
  }

  int run(Session& s) override {
    const launch::HostId id = launch::host_id(s.config().root_host_id);
    const std::string requests{std::istreambuf_iterator<char>(std::cin), {}};
    std::string answers =
        model::ask_inside(static_cast<pid_t>(number(pid_)), static_cast<std::uint16_t>(number(port_)), id, requests);
    if (answers.ends_with('\n')) {
      answers.pop_back();
    }
    s.print(answers);
    return 0;
  }

 private:
  static unsigned number(const std::string& text) {
    unsigned value = 0;
    const char* end = text.data() + text.size();
    if (std::from_chars(text.data(), end, value).ptr != end || value == 0) {
      throw Error(ErrorKind::Usage, "`{}` is no number", text);
    }
    return value;
  }
  std::string pid_;
  std::string port_;
};

}  // namespace

std::unique_ptr<Command> make_ask() { return std::make_unique<Ask>(); }

}  // namespace slip::cli
