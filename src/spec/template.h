#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace slip::spec {

/// A spec to start from.
struct Starter {
  std::string text;  ///< commented YAML that parses
  std::string from;  ///< what it was made from: "the template `tf29`", "requirements.txt and apt.txt"
};

/// "minimal", "tf29".
std::vector<std::string> template_names();

/// The text of a template, or (without one) of what lies in the folder: requirements.txt or pyproject.toml, apt.txt;
/// with nothing there, of `minimal`.
/// @param name  of the environment; empty: made from the folder's name
/// @throws Error Usage for an unknown template or a name that cannot be one
Starter starter(const std::filesystem::path& folder, const std::string& template_name, const std::string& name);

/// What a folder's name becomes as the name of an environment: "My Project!" → "my-project".
std::string name_from(const std::string& folder_name);

}  // namespace slip::spec
