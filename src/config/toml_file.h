#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

/// The room's only reader of TOML.
namespace slip::config {

/// One value of a config.toml.
struct FileSetting {
  std::vector<std::string> values;  ///< one, or a list's
  std::string origin;               ///< "/etc/slipway/config.toml:4"
};

/// Flat view of a config.toml, keys as "http.ca_file".
/// @param file  how errors and origins name it
/// @throws Error Invalid at `file:line:column`: malformed TOML, an unknown key (with a suggestion), a wrong type
std::map<std::string, FileSetting> parse_config(std::string_view text, const std::string& file);

/// Indexes named by a uv.toml, each a list separated by blanks; empty for text that is no TOML.
struct UvToml {
  std::string chosen;
  std::string extra;
};
UvToml parse_uv_toml(std::string_view text);

/// `text` as a TOML basic string, quoted.
std::string toml_string(std::string_view text);
/// `["a", "b"]`.
std::string toml_list(const std::vector<std::string>& values);

}  // namespace slip::config
