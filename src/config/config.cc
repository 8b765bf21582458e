#include "config/config.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "config/discover.h"
#include "config/settings.h"
#include "config/toml_file.h"
#include "core/error.h"
#include "core/suggest.h"
#include "core/text.h"

namespace slip::config {
namespace {

namespace fs = std::filesystem;

/// The value that won, for one key.
struct Value {
  std::vector<std::string> values;
  std::string origin;
};
using Values = std::map<std::string, Value>;

bool is_source(std::string_view key) { return key.substr(0, kSourcePrefix.size()) == kSourcePrefix; }

std::vector<std::string> env_words(std::string_view text) {
  std::vector<std::string> words;
  for (const std::string_view word : split_words(text)) {
    words.emplace_back(word);
  }
  return words;
}

void add_file(const Host& host, const fs::path& path, Values& values) {
  const auto text = os::read_file_if_any(host.root / path.relative_path(), 1U << 20);
  if (!text) {
    return;
  }
  for (auto& [key, setting] : parse_config(*text, path.string())) {
    values[key] = {std::move(setting.values), std::move(setting.origin)};
  }
}

void add_environment(const Host& host, Values& values) {
  for (const auto& [name, text] : host.env) {
    if (text.empty()) {
      continue;
    }
    if (name.size() > kSourceEnvPrefix.size() && name.compare(0, kSourceEnvPrefix.size(), kSourceEnvPrefix) == 0) {
      std::string alias = to_lower(name.substr(kSourceEnvPrefix.size()));
      std::replace(alias.begin(), alias.end(), '_', '-');
      values[std::string(kSourcePrefix) + alias] = {env_words(text), "environment " + name};
    }
  }
  for (const Known& known : kSettings) {
    const std::string text = host_env(host, std::string(known.env));
    if (!text.empty() && !is_source(known.key)) {
      values[std::string(known.key)] = {{text}, format("environment {}", known.env)};
    }
  }
}

std::uint32_t number(const Value& value, std::string_view key, std::uint32_t least, std::uint32_t most) {
  const std::string& text = value.values.front();
  std::uint32_t result = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), result);
  if (error != std::errc() || end != text.data() + text.size() || result < least || result > most) {
    throw Error(ErrorKind::Invalid, "{}: `{}` must be a number from {} to {}, not `{}`", value.origin, key, least, most,
                printable(text));
  }
  return result;
}

fs::path folder(const Host& host, const Value& value, std::string_view key) {
  std::string text = value.values.front();
  if (text.compare(0, 2, "~/") == 0) {
    text = host_env(host, "HOME") + text.substr(1);
  }
  if (text.empty() || text.front() != '/') {
    throw Error(ErrorKind::Invalid, "{}: `{}` must be an absolute path, not `{}`", value.origin, key, printable(text));
  }
  return fs::path(text).lexically_normal();
}

/// For messages and `slipway config`: without user and password.
std::string redacted(const std::string& url) {
  const std::size_t mark = url.find("://");
  const std::size_t begin = mark == std::string::npos ? 0 : mark + 3;
  const std::size_t end = std::min(url.find('/', begin), url.size());
  const std::size_t at = url.rfind('@', end);
  return at == std::string::npos || at < begin ? url : url.substr(0, begin) + "***" + url.substr(at);
}

std::vector<std::string> checked_urls(const Value& value, const std::string& key) {
  std::vector<std::string> urls;
  for (const std::string& text : value.values) {
    const std::string url = normal_url(text);
    if (!is_web_url(url)) {
      Error error(ErrorKind::Invalid, "{}: `{}` holds `{}`, which is no http or https URL", value.origin, key,
                  printable(redacted(text)));
      error.add_hint(format("write `{} = [\"https://mirror.example/path\"]`", key));
      throw error;
    }
    urls.push_back(url);
  }
  return urls;
}

/// True when a column of numbers in a colon-separated file ("passwd") or its [start, start + count) holds `id`.
bool taken_in(const Host& host, const char* file, std::uint32_t id, bool ranges) {
  const std::string text = host_file(host, file).value_or("");
  for (const std::string_view line : split(text, '\n')) {
    const auto fields = split(line, ':');
    std::uint64_t start = 0;
    std::uint64_t count = 1;
    if (fields.size() < 3) {
      continue;
    }
    const std::string_view first = ranges ? fields[1] : fields[2];
    if (std::from_chars(first.data(), first.data() + first.size(), start).ec != std::errc()) {
      continue;
    }
    if (ranges) {
      std::from_chars(fields[2].data(), fields[2].data() + fields[2].size(), count);
    }
    if (id >= start && id - start < count) {
      return true;
    }
  }
  return false;
}

bool is_mapped(const Host& host, std::uint32_t id) {
  const auto map = host_file(host, "proc/self/uid_map");
  if (!map) {
    return true;
  }
  for (const std::string_view line : split(*map, '\n')) {
    const auto fields = split_words(line);
    std::uint64_t start = 0;
    std::uint64_t count = 0;
    if (fields.size() == 3) {
      std::from_chars(fields[0].data(), fields[0].data() + fields[0].size(), start);
      std::from_chars(fields[2].data(), fields[2].data() + fields[2].size(), count);
    }
    if (id >= start && id - start < count) {
      return true;
    }
  }
  return false;
}

std::uint32_t default_host_id(const Host& host) {
  const std::uint32_t id = is_mapped(host, kRootHostId) ? kRootHostId : kSmallRootHostId;
  for (const auto& [file, ranges] : {std::pair{"etc/passwd", false}, std::pair{"etc/group", false},
                                     std::pair{"etc/subuid", true}, std::pair{"etc/subgid", true}}) {
    if (taken_in(host, file, id, ranges)) {
      Error error(ErrorKind::Conflict, "the id {} that root's sandboxes would run as is somebody's in `/{}`", id, file);
      error.add_hint(format("set `root_host_id` in {} to an id that nobody has", host.dirs.config.string()));
      throw error;
    }
  }
  return id;
}

const Value* find(const Values& values, std::string_view key) {
  const auto found = values.find(std::string(key));
  return found == values.end() || found->second.values.empty() ? nullptr : &found->second;
}

/// Fills the fields of config and says in `shown` what they became, for settings that files and environment give.
void apply(const Host& host, const Values& values, Config& config, Values& shown) {
  const auto take_folder = [&](const char* key, fs::path& into) {
    const Value* value = find(values, key);
    if (value != nullptr) {
      into = folder(host, *value, key);
    }
    shown[key] = {{into.string()}, value != nullptr ? value->origin : "default"};
  };
  take_folder("store", config.dirs.store);
  take_folder("state", config.dirs.state);
  const auto take_number = [&](const char* key, std::uint32_t least, std::uint32_t most, std::uint32_t otherwise) {
    const Value* value = find(values, key);
    const std::uint32_t result = value != nullptr ? number(*value, key, least, most) : otherwise;
    shown[key] = {{std::to_string(result)}, value != nullptr ? value->origin : "default"};
    return result;
  };
  constexpr std::uint32_t kMostJobs = 1024;
  constexpr std::uint32_t kMostParallel = 64;
  constexpr std::uint32_t kMostId = 4'294'967'294;
  config.jobs = take_number("jobs", 0, kMostJobs, 0);
  config.http_parallel = take_number("http.parallel", 1, kMostParallel, config.http_parallel);
  const bool chosen = find(values, "root_host_id") != nullptr;
  config.root_host_id = take_number("root_host_id", 1, kMostId, chosen ? 0 : default_host_id(host));
  const auto take_text = [&](const char* key, std::string& into) {
    if (const Value* value = find(values, key)) {
      into = join(value->values, ",");
      shown[key] = *value;
    }
  };
  take_text("http.http_proxy", config.http_proxy);
  take_text("http.https_proxy", config.https_proxy);
  take_text("http.no_proxy", config.no_proxy);
  if (const Value* value = find(values, "http.ca_file"); value != nullptr && !value->values.front().empty()) {
    config.ca_file = folder(host, *value, "http.ca_file").string();
    shown["http.ca_file"] = *value;
  }
}

void apply_sources(const Values& values, Config& config, Values& shown) {
  for (const auto& [key, value] : values) {
    if (!is_source(key) || value.values.empty()) {
      continue;
    }
    const std::string alias = key.substr(kSourcePrefix.size());
    auto& aliases = alias.compare(0, 6, "debian") == 0 ? config.sources.debian : config.sources.python;
    aliases[alias] = checked_urls(value, key);
    shown[key] = {aliases[alias], value.origin};
  }
}

void apply_registries(const Host& host, const Values& values, Config& config, Values& shown) {
  for (const auto& [key, value] : values) {
    if (key.compare(0, kRegistriesPrefix.size(), kRegistriesPrefix) != 0) {
      continue;
    }
    const std::size_t dot = key.rfind('.');
    Registry& registry = config.registries[key.substr(kRegistriesPrefix.size(), dot - kRegistriesPrefix.size())];
    const std::string name = key.substr(dot + 1);
    const bool yes = !value.values.empty() && value.values.front() == "true";
    if (name == "plain_http") {
      registry.plain_http = yes;
    } else if (name == "require_signature") {
      registry.require_signature = yes;
    } else if (name == "allow_mounts") {
      registry.allow_mounts = yes;
    } else if (name == "trusted_keys") {
      for (const std::string& file : value.values) {
        registry.trusted_keys.push_back(folder(host, {{file}, value.origin}, key).string());
      }
    } else {
      std::string& path = name == "ca_file"     ? registry.ca_file
                          : name == "cert_file" ? registry.cert_file
                                                : registry.key_file;
      path = folder(host, value, key).string();
    }
    shown[key] = value;
  }
}

Setting rendered(std::string key, Kind kind, std::string_view doc, const Values& shown) {
  const Value* value = find(shown, key);
  Setting setting{std::move(key), "", value != nullptr ? value->origin : "not set", std::string(doc)};
  std::vector<std::string> safe;
  for (const std::string& one : value != nullptr ? value->values : std::vector<std::string>{}) {
    safe.push_back(redacted(one));
  }
  if (kind == Kind::Count) {
    setting.value = safe.empty() ? "" : safe.front();
  } else {
    setting.value = kind == Kind::Urls ? toml_list(safe) : toml_string(join(safe, ","));
  }
  return setting;
}

std::vector<Setting> list_settings(const Values& shown) {
  std::vector<Setting> settings;
  for (const Known& known : kSettings) {
    settings.push_back(rendered(std::string(known.key), known.kind, known.doc, shown));
    if (known.key != "sources.pypi") {
      continue;
    }
    for (const auto& [key, value] : shown) {
      const bool own =
          std::any_of(kSettings.begin(), kSettings.end(), [&k = key](const Known& x) { return x.key == k; });
      if (is_source(key) && !own) {
        settings.push_back(rendered(key, Kind::Urls, "a further source", shown));
      }
    }
  }
  for (const auto& [key, value] : shown) {
    if (key.compare(0, kRegistriesPrefix.size(), kRegistriesPrefix) == 0) {
      const std::string name = key.substr(key.rfind('.') + 1);
      const auto known = std::find_if(kRegistrySettings.begin(), kRegistrySettings.end(),
                                      [&](const KnownOfRegistry& k) { return k.key == name; });
      const bool list = known->kind == KnownOfRegistry::Kind::Paths;
      const bool flag = known->kind == KnownOfRegistry::Kind::Flag;
      settings.push_back(rendered(key, list ? Kind::Urls : flag ? Kind::Count : Kind::Text, known->doc, shown));
    }
  }
  return settings;
}

const std::vector<std::string>& require(const Config& config, const std::string& alias,
                                        const std::map<std::string, std::vector<std::string>>& aliases, bool debian) {
  const auto found = aliases.find(alias);
  if (found != aliases.end() && !found->second.empty()) {
    return found->second;
  }
  Error error(ErrorKind::NotFound, "no {} is configured for the source `{}`", debian ? "mirror" : "index",
              printable(alias));
  std::vector<std::string> known;
  for (const auto& [name, urls] : aliases) {
    known.push_back(name);
  }
  if (const auto name = nearest(alias, known)) {
    error.add_hint(format("did you mean `{}`?", *name));
  }
  error.add_hint(format("write to {}:\n[sources]\n{} = [\"https://mirror.example/{}\"]", config.dirs.config.string(),
                        alias, debian ? alias : "simple"));
  error.add_hint(format("or set {} in the environment", source_env(alias)));
  error.add_hint(debian ? "or name a mirror in /etc/apt/sources.list.d, or install python-apt-common"
                        : "or set `index-url` in /etc/pip.conf, or install python3-pip");
  throw error;
}

}  // namespace

bool is_alias(std::string_view name) noexcept {
  return !name.empty() && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

std::string source_env(std::string_view alias) {
  std::string name(kSourceEnvPrefix);
  for (const char c : alias) {
    name += c == '-' ? '_' : c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return name;
}

Host this_host() {
  Host host;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    if (const std::size_t sign = text.find('='); sign != std::string_view::npos) {
      host.env.emplace(text.substr(0, sign), text.substr(sign + 1));
    }
  }
  host.dirs = os::host_dirs();
  return host;
}

Config load() { return load(this_host()); }

Config load(const Host& host) {
  Values values;
  for (auto& [key, found] : discover(host)) {
    values[key] = {std::move(found.values), std::move(found.origin)};
  }
  const fs::path system = "/etc/slipway/config.toml";
  add_file(host, system, values);
  if (host.dirs.config != system && !host.dirs.config.empty()) {
    add_file(host, host.dirs.config, values);
  }
  add_environment(host, values);

  Config config;
  config.dirs = host.dirs;
  Values shown;
  apply(host, values, config, shown);
  apply_sources(values, config, shown);
  apply_registries(host, values, config, shown);
  config.settings = list_settings(shown);
  return config;
}

std::string discover_toml(const Host& host) {
  const auto found = discover(host);
  std::string text =
      "# Where this host gets packages. Found by `slipway config --discover` in the configuration of apt, pip and uv "
      "and\n"
      "# in what Debian's packages carry; edit freely. All settings: docs/reference/configuration.md\n";
  for (const char* table : {"sources", "http"}) {
    text += format("\n[{}]\n", table);
    for (const auto& [key, one] : found) {
      const std::size_t dot = key.find('.');
      if (key.substr(0, dot) != table || one.values.empty()) {
        continue;
      }
      const std::string name = key.substr(dot + 1);
      const bool secret =
          std::any_of(one.values.begin(), one.values.end(), [](const auto& url) { return redacted(url) != url; });
      if (secret) {
        text += format("# {}: has credentials, so it stays where it is: {}\n", name, one.origin);
        continue;
      }
      text += format("# {}\n{} = {}\n", one.origin, name,
                     std::string_view(table) == "sources" ? toml_list(one.values) : toml_string(join(one.values, ",")));
    }
  }
  return text;
}

const std::vector<std::string>& require_debian(const Config& config, const std::string& alias) {
  return require(config, alias, config.sources.debian, true);
}

const std::vector<std::string>& require_python(const Config& config, const std::string& alias) {
  return require(config, alias, config.sources.python, false);
}

}  // namespace slip::config
