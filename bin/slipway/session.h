#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "config/config.h"
#include "core/events.h"
#include "http/client.h"
#include "lock/context.h"
#include "options.h"
#include "store/store.h"
#include "terminal.h"

namespace slip::cli {

/// What one call of slipway has at hand, made in main() and passed by reference. Everything costly (configuration,
/// store, HTTP) is made at its first use, so that `slipway --help` costs nothing.
class Session {
 public:
  Session(const Globals& globals, Events& events, const Terminal& out, const Terminal& err);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  [[nodiscard]] Events& events() noexcept { return events_; }
  [[nodiscard]] bool json() const noexcept { return globals_.json; }
  [[nodiscard]] const Globals& globals() const noexcept { return globals_; }
  /// Of stdout: its width, whether it is a terminal, its colours.
  [[nodiscard]] const Terminal& out() const noexcept { return out_; }

  const config::Config& config();
  store::Store& store();
  http::Client& http();
  /// What the configuration says about HTTP.
  http::Options http_options();
  /// What lock and image need, put together. Valid until close_store().
  lock::Context& context(bool offline = false);
  /// Lets go of the store, so that nobody waits for this call while a command runs. The next store() opens it anew.
  void close_store();

  /// One line (or table) of the answer on stdout; a newline is added when it lacks one.
  void print(std::string_view text);
  /// A status line on stderr, "Locked 214 packages in 1.8s"; its first word is set in green. Silent under -q.
  void say(std::string_view text);

 private:
  const Globals& globals_;
  Events& events_;
  const Terminal& out_;
  const Terminal& err_;
  std::optional<config::Config> config_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<http::Client> http_;
  std::unique_ptr<lock::Context> context_;
};

}  // namespace slip::cli
