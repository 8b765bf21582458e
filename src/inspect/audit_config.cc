// What an image's configuration says: user, ports, health, variables, history.
#include <algorithm>
#include <charconv>

#include "core/count.h"
#include "core/text.h"
#include "image/services.h"
#include "inspect/audit.h"

namespace slip::inspect {
namespace {

std::string listed(const std::vector<std::string>& words) {
  constexpr std::size_t kMost = 4;
  std::vector<std::string> first(words.begin(),
                                 words.begin() + static_cast<std::ptrdiff_t>(std::min(words.size(), kMost)));
  return join(first, ", ") + (words.size() > kMost ? format(" and {} more", words.size() - kMost) : "");
}

unsigned port_of(const std::string& exposed) {
  unsigned port = 0;
  std::from_chars(exposed.data(), exposed.data() + exposed.size(), port);
  return port;
}

Finding check_user(const oci::ImageConfig& config) {
  const std::string title = "the image's user is not root";
  const std::string name = config.user.substr(0, config.user.find(':'));
  if (name.empty() || name == "0" || name == "root") {
    return amiss("C4.1", title, name.empty() ? "no user, which means root" : config.user, "a user id above 0",
                 "set USER to an id above 0");
  }
  return fine("C4.1", title, config.user);
}

Finding check_health(const oci::ImageConfig& config) {
  const std::string title = "an image that listens can be asked for its health";
  if (config.exposed_ports.empty()) {
    return fine("C4.6", title, "it exposes no port");
  }
  if (config.healthcheck.test.empty() || config.healthcheck.test.front() == "NONE") {
    return amiss("C4.6", title, "no HEALTHCHECK", "a HEALTHCHECK", "declare a command that tells whether it serves");
  }
  return fine("C4.6", title, join(config.healthcheck.test, " "));
}

Finding check_add(const oci::ImageConfig& config) {
  const std::string title = "files are copied, not fetched by ADD";
  for (const oci::History& step : config.history) {
    const std::size_t add = step.created_by.find("ADD http");
    if (add != std::string::npos) {
      return amiss("C4.9", title, printable(step.created_by.substr(add, 120)), "no ADD of a URL",
                   "fetch by digest, then COPY");
    }
  }
  return fine("C4.9", title, counted(config.history.size(), "step"));
}

Finding check_secrets(const oci::ImageConfig& config) {
  const std::string title = "no secret in variables, labels, arguments or history";
  std::vector<std::string> found;
  const auto look = [&](const std::string& place, std::string_view name, std::string_view text) {
    if (const std::string what = secret_in(name, text); !what.empty()) {
      found.push_back(format("{} in {}", what, place));
    }
  };
  for (const std::string& variable : config.env) {
    const std::size_t equals = variable.find('=');
    const std::string name = variable.substr(0, equals);
    look("variable " + printable(name), name, equals == std::string::npos ? "" : variable.substr(equals + 1));
  }
  for (const auto& [name, value] : config.labels) {
    look("label " + printable(name), "", value);
  }
  for (const std::vector<std::string>* words : {&config.entrypoint, &config.cmd}) {
    for (const std::string& word : *words) {
      const std::size_t equals = word.find('=');
      look("the start command", word.substr(0, equals), equals == std::string::npos ? "" : word.substr(equals + 1));
    }
  }
  for (const oci::History& step : config.history) {
    look("the history", "", step.created_by);
  }
  if (!found.empty()) {
    return amiss("C4.10", title, listed(found), "secrets come as files, when it runs",
                 "take it out, build anew, and change the secret: whoever has the image has it");
  }
  return fine("C4.10", title, counted(config.env.size(), "variable"));
}

std::vector<Finding> check_ports(const Subject& subject) {
  const oci::ImageConfig& config = subject.config();
  const std::string exposed =
      config.exposed_ports.empty()
          ? "none"
          : listed(std::vector<std::string>(config.exposed_ports.begin(), config.exposed_ports.end()));
  std::vector<std::string> low;
  std::vector<std::string> needless;
  for (const std::string& port : config.exposed_ports) {
    const unsigned number = port_of(port);
    if (number < 1024) {
      low.push_back(port);
    }
    if (const auto& spec = subject.spec()) {
      const bool jupyter = number == image::kJupyterPort && spec->services.jupyter;
      const bool ssh = number == image::kSshPort && spec->services.ssh;
      if (!jupyter && !ssh) {
        needless.push_back(port);
      }
    }
  }
  std::vector<Finding> findings;
  findings.push_back(low.empty() ? fine("C5.8", "ports need no privilege", exposed)
                                 : amiss("C5.8", "ports need no privilege", listed(low), "ports from 1024 on",
                                         "let the service listen on a port above 1023"));
  const std::string title = "only ports of its services are exposed";
  findings.push_back(needless.empty() ? fine("C5.9", title, exposed)
                                      : amiss("C5.9", title, listed(needless), "ports of the spec's services",
                                              "build it with slipway again"));
  return findings;
}

}  // namespace

std::vector<Finding> audit_config(const Subject& subject) {
  const oci::ImageConfig& config = subject.config();
  std::vector<Finding> findings = {check_user(config), check_health(config), check_add(config), check_secrets(config)};
  for (Finding& finding : check_ports(subject)) {
    findings.push_back(std::move(finding));
  }
  return findings;
}

}  // namespace slip::inspect
