#include <algorithm>

#include "codec/json.h"
#include "command.h"
#include "nlohmann/json.hpp"
#include "options.h"
#include "os/file.h"
#include "session.h"

namespace slip::cli {
namespace {

class Config final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Shows every setting of this machine and where its value came from: SLIPWAY_* variables, the person's "
        "config.toml, "
        "/etc/slipway/config.toml, then what apt, pip and uv are configured to use.");
    o.flag("discover", discover_, "print a config.toml with the sources that apt, pip and uv name now");
    o.json();
    o.example("slipway config", "what is in force, and why");
    o.example("slipway config --discover > ~/.config/slipway/config.toml", "keep today's sources");
  }

  int run(Session& s) override {
    if (discover_) {
      s.print(config::discover_toml(config::this_host()));
      return 0;
    }
    const std::vector<config::Setting>& settings = s.config().settings;
    if (s.json()) {
      codec::Json records = codec::Json::array();
      for (const config::Setting& setting : settings) {
        records.push_back(
            {{"key", setting.key}, {"value", setting.value}, {"origin", setting.origin}, {"doc", setting.doc}});
      }
      s.print(records.dump());
      return 0;
    }
    std::size_t key = 0;
    std::size_t value = 0;
    for (const config::Setting& setting : settings) {
      key = std::max(key, setting.key.size());
      value = std::max(value, std::min<std::size_t>(setting.value.size(), 60));
    }
    for (const config::Setting& setting : settings) {
      s.print(format("{:<{}}  {:<{}}  {}", setting.key, key, setting.value, value, setting.origin));
    }
    return 0;
  }

 private:
  bool discover_ = false;
};

}  // namespace

std::unique_ptr<Command> make_config() { return std::make_unique<Config>(); }

}  // namespace slip::cli
