#include "session.h"

#include "progress.h"

namespace slip::cli {

Session::Session(const Globals& globals, Events& events, const Terminal& out, const Terminal& err)
    : globals_(globals), events_(events), out_(out), err_(err) {}
Session::~Session() = default;

const config::Config& Session::config() {
  if (!config_) {
    config_ = config::load();
  }
  return *config_;
}

store::Store& Session::store() {
  if (!store_) {
    store_ = std::make_unique<store::Store>(config().dirs.store, [this] { say("Waiting for `slipway gc` to finish"); });
  }
  return *store_;
}

http::Options Session::http_options() {
  http::Options options;
  options.ca_file = config().ca_file;
  options.parallel = config().http_parallel;
  options.http_proxy = config().http_proxy;
  options.https_proxy = config().https_proxy;
  options.no_proxy = config().no_proxy;
  return options;
}

http::Client& Session::http() {
  if (!http_) {
    http_ = std::make_unique<http::Client>(http_options(), events_);
  }
  return *http_;
}

lock::Context& Session::context(bool offline) {
  if (!context_) {
    context_ = std::unique_ptr<lock::Context>(
        new lock::Context{config(), store(), http(), events_, launch::host_id(config().root_host_id), offline});
  }
  return *context_;
}

void Session::close_store() {
  context_.reset();
  store_.reset();
}

void Session::print(std::string_view text) {
  if (globals_.quiet > 1) {
    return;  // -qq: nothing but the exit status
  }
  std::string line(text);
  if (line.empty() || line.back() != '\n') {
    line += '\n';
  }
  out_.write(line);
}

void Session::say(std::string_view text) {
  if (globals_.quiet > 0) {
    return;
  }
  const std::size_t space = text.find(' ');
  std::string line = text.starts_with(' ') ? std::string(text)
                                           : err_.paint(Style::Done, text.substr(0, space)) +
                                                 std::string(space == std::string_view::npos ? "" : text.substr(space));
  if (auto* printer = dynamic_cast<Printer*>(&events_)) {
    printer->line(line);
  } else {
    err_.write(line + "\n");
  }
}

}  // namespace slip::cli
