#include <algorithm>

#include "config/discover.h"
#include "config/toml_file.h"
#include "core/text.h"

namespace slip::config {
namespace {

using Section = std::map<std::string, std::string>;

/// The [global] section with [install] over it, as `pip install` sees it. Names in lower case with dashes.
/// @source pip's configuration documentation; Python configparser (RawConfigParser)
Section parse_pip_conf(std::string_view text) {
  std::map<std::string, Section> sections;
  std::string section;
  std::string name;
  for (const std::string_view line : split(text, '\n')) {
    const std::string_view content = trim(line);
    if (content.empty() || content.front() == '#' || content.front() == ';') {
      continue;
    }
    const bool indented = line.front() == ' ' || line.front() == '\t';
    if (indented && !name.empty()) {
      sections[section][name] += "\n" + std::string(content);
    } else if (content.front() == '[') {
      section = to_lower(content.substr(1, content.find(']') - 1));
      name.clear();
    } else if (const std::size_t sign = content.find_first_of("=:"); sign != std::string_view::npos) {
      name = to_lower(trim(content.substr(0, sign)));
      std::replace(name.begin(), name.end(), '_', '-');
      sections[section][name] = trim(content.substr(sign + 1));
    }
  }
  Section merged = sections["install"];
  merged.merge(sections["global"]);
  return merged;
}

void add_urls(std::vector<std::string>& urls, std::string_view text) {
  for (const std::string_view word : split_words(text)) {
    const std::string url = normal_url(word);
    if (is_web_url(url) && std::find(urls.begin(), urls.end(), url) == urls.end()) {
      urls.push_back(url);
    }
  }
}

/// Folders of $XDG_CONFIG_DIRS, weakest first.
std::vector<std::string> system_folders(const Host& host) {
  std::vector<std::string> folders;
  const std::string listed = host_env(host, "XDG_CONFIG_DIRS");
  for (const std::string_view folder : split(listed.empty() ? std::string_view("/etc/xdg") : listed, ':')) {
    if (!folder.empty()) {
      folders.emplace_back(folder);
    }
  }
  std::reverse(folders.begin(), folders.end());
  return folders;
}

std::string user_folder(const Host& host) {
  if (const std::string set = host_env(host, "XDG_CONFIG_HOME"); !set.empty()) {
    return set;
  }
  const std::string home = host_env(host, "HOME");
  return home.empty() ? "" : home + "/.config";
}

/// pip's files, weakest first: global, user, site, PIP_CONFIG_FILE.
std::vector<std::string> pip_file_names(const Host& host) {
  const std::string named = host_env(host, "PIP_CONFIG_FILE");
  if (named == "/dev/null") {
    return {};  // pip's way to say: no files at all
  }
  std::vector<std::string> files;
  for (const std::string& folder : system_folders(host)) {
    files.push_back(folder + "/pip/pip.conf");
  }
  files.emplace_back("/etc/pip.conf");
  if (const std::string home = host_env(host, "HOME"); !home.empty()) {
    files.push_back(home + "/.pip/pip.conf");
  }
  if (const std::string folder = user_folder(host); !folder.empty()) {
    files.push_back(folder + "/pip/pip.conf");
  }
  if (const std::string site = host_env(host, "VIRTUAL_ENV"); !site.empty()) {
    files.push_back(site + "/pip.conf");
  }
  if (!named.empty()) {
    files.push_back(named);
  }
  return files;
}

Indexes indexes_of(std::string_view chosen, std::string_view extra, const std::string& chosen_origin,
                   const std::string& extra_origin) {
  Indexes found;
  add_urls(found.chosen.values, chosen);
  if (!found.chosen.values.empty()) {
    found.chosen.values.resize(1);
    found.chosen.origin = chosen_origin;
  }
  add_urls(found.extra.values, extra);
  if (!found.extra.values.empty()) {
    found.extra.origin = extra_origin;
  }
  return found;
}

Found single(const std::string& value, const std::string& origin) {
  return value.empty() ? Found{} : Found{{value}, origin};
}

}  // namespace

PipSettings pip_environment(const Host& host) {
  return {indexes_of(host_env(host, "PIP_INDEX_URL"), host_env(host, "PIP_EXTRA_INDEX_URL"),
                     "environment PIP_INDEX_URL", "environment PIP_EXTRA_INDEX_URL"),
          single(host_env(host, "PIP_CERT"), "environment PIP_CERT"),
          single(host_env(host, "PIP_PROXY"), "environment PIP_PROXY")};
}

PipSettings pip_files(const Host& host) {
  PipSettings settings;
  Section all;
  std::string index_file;
  std::string extra_file;
  for (const std::string& file : pip_file_names(host)) {
    const std::string origin = format("pip ({})", file);
    for (const auto& [name, value] : parse_pip_conf(host_file(host, file).value_or(""))) {
      all[name] = value;
      if (name == "index-url") {
        index_file = origin;
      } else if (name == "extra-index-url") {
        extra_file = origin;
      } else if (name == "cert") {
        settings.cert = single(value, origin);
      } else if (name == "proxy") {
        settings.proxy = single(value, origin);
      }
    }
  }
  settings.indexes = indexes_of(all["index-url"], all["extra-index-url"], index_file, extra_file);
  return settings;
}

Indexes uv_environment(const Host& host) {
  const auto without_name = [](std::string_view word) {
    const std::size_t sign = word.find('=');  // "name=https://…" gives the index a name
    const bool named = sign != std::string_view::npos && sign < word.find("://");
    return std::string(named ? word.substr(sign + 1) : word);
  };
  std::string chosen;
  std::string origin;
  for (const char* name : {"UV_INDEX_URL", "UV_DEFAULT_INDEX"}) {
    if (const std::string value = host_env(host, name); !value.empty()) {
      chosen = without_name(value);
      origin = format("environment {}", name);
    }
  }
  std::string extra = host_env(host, "UV_EXTRA_INDEX_URL");
  const std::string listed = host_env(host, "UV_INDEX");
  for (const std::string_view word : split_words(listed)) {
    extra += " " + without_name(word);
  }
  return indexes_of(chosen, extra, origin, "environment UV_INDEX");
}

Indexes uv_files(const Host& host) {
  std::vector<std::string> files;
  if (const std::string named = host_env(host, "UV_CONFIG_FILE"); !named.empty()) {
    files = {named};
  } else {
    files.emplace_back("/etc/uv/uv.toml");
    for (const std::string& folder : system_folders(host)) {
      files.push_back(folder + "/uv/uv.toml");
    }
    if (const std::string folder = user_folder(host); !folder.empty()) {
      files.push_back(folder + "/uv/uv.toml");
    }
  }
  Indexes found;
  for (const std::string& file : files) {
    const UvToml read = parse_uv_toml(host_file(host, file).value_or(""));
    const std::string origin = format("uv ({})", file);
    Indexes here = indexes_of(read.chosen, read.extra, origin, origin);
    if (!here.chosen.values.empty()) {
      found.chosen = std::move(here.chosen);
    }
    if (!here.extra.values.empty()) {
      found.extra = std::move(here.extra);
    }
  }
  return found;
}

}  // namespace slip::config
