#include <algorithm>

#include "config/discover.h"
#include "core/text.h"

namespace slip::config {
namespace {

/// Cuts apt.conf text into words, quoted strings (marked by a leading '"') and the signs { } ;
class Tokens {
 public:
  explicit Tokens(std::string_view text) : text_(text) {}

  /// "" at the end.
  std::string next() {
    skip_blanks();
    if (at_ >= text_.size()) {
      return {};
    }
    const char c = text_[at_];
    if (c == '{' || c == '}' || c == ';') {
      ++at_;
      return std::string(1, c);
    }
    if (c == '"') {
      const std::size_t end = std::min(text_.find('"', at_ + 1), text_.size());
      std::string value(text_.substr(at_, end - at_));
      at_ = std::min(end + 1, text_.size());
      return value;
    }
    const std::size_t end = std::min(text_.find_first_of(" \t\r\n{};\"", at_), text_.size());
    std::string word(text_.substr(at_, end - at_));
    at_ = end;
    return word;
  }

 private:
  void skip_blanks() {
    while (at_ < text_.size()) {
      const std::string_view rest = text_.substr(at_);
      if (std::string_view(" \t\r\n").find(rest.front()) != std::string_view::npos) {
        ++at_;
      } else if (rest.front() == '#' || rest.substr(0, 2) == "//") {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (rest.substr(0, 2) == "/*") {
        const std::size_t end = text_.find("*/", at_ + 2);
        at_ = end == std::string_view::npos ? text_.size() : end + 2;
      } else {
        return;
      }
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

std::string join_scope(const std::vector<std::string>& scope, const std::string& name) {
  std::vector<std::string> parts = scope;
  if (!name.empty()) {
    parts.push_back(name);
  }
  return to_lower(join(parts, "::"));
}

std::string apt_proxy(const std::string& value) {
  // "DIRECT" switches a proxy off; "false" did so in old versions.
  return value == "DIRECT" || value == "false" ? "" : value;
}

}  // namespace

std::map<std::string, std::string> parse_apt_conf(std::string_view text) {
  std::map<std::string, std::string> settings;
  std::vector<std::string> scope;
  std::string name;
  Tokens tokens(text);
  for (std::string token = tokens.next(); !token.empty(); token = tokens.next()) {
    if (token == "{") {
      scope.push_back(name);
      name.clear();
    } else if (token == "}") {
      if (!scope.empty()) {
        scope.pop_back();
      }
      name.clear();
    } else if (token == ";") {
      name.clear();
    } else if (token.front() == '"') {
      settings[join_scope(scope, name)] = token.substr(1);
    } else if (name.empty()) {
      name = token;
    } else {
      settings[join_scope(scope, name)] = token;  // apt takes a value without quotes too
    }
  }
  return settings;
}

AptNetwork apt_network(const Host& host) {
  std::vector<std::string> files;
  if (const std::string own = host_env(host, "APT_CONFIG"); !own.empty()) {
    files.push_back(own);
  }
  for (const std::string& name : host_list(host, "etc/apt/apt.conf.d")) {
    const std::size_t dot = name.rfind('.');
    if (dot == std::string::npos || name.substr(dot) == ".conf") {
      files.push_back("etc/apt/apt.conf.d/" + name);
    }
  }
  files.emplace_back("etc/apt/apt.conf");

  AptNetwork network;
  constexpr std::string_view kHostProxy = "acquire::http::proxy::";
  for (const std::string& file : files) {
    const std::string origin = format("apt ({}{})", file.front() == '/' ? "" : "/", file);
    for (const auto& [key, value] : parse_apt_conf(host_file(host, file).value_or(""))) {
      const std::string proxy = apt_proxy(value);
      if (key == "acquire::http::proxy") {
        network.http_proxy = {proxy.empty() ? std::vector<std::string>{} : std::vector{proxy}, origin};
      } else if (key == "acquire::https::proxy") {
        network.https_proxy = {proxy.empty() ? std::vector<std::string>{} : std::vector{proxy}, origin};
      } else if (key == "acquire::https::cainfo") {
        network.ca_file = {{value}, origin};
      } else if (key.compare(0, kHostProxy.size(), kHostProxy) == 0 && proxy.empty()) {
        network.no_proxy.values.push_back(key.substr(kHostProxy.size()));
        network.no_proxy.origin = origin;
      }
    }
  }
  return network;
}

}  // namespace slip::config
