#include "registry/credentials.h"

#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "codec/base64.h"
#include "codec/json.h"
#include "core/error.h"
#include "core/text.h"
#include "os/file.h"
#include "os/process.h"

namespace slip::registry {
namespace {

namespace fs = std::filesystem;
using codec::Json;

constexpr std::string_view kTokenUser = "<token>";  // a helper's user name for an identity token

std::string env(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

/// The document, or an empty one when there is no file.
Json load(const fs::path& file) {
  const auto text = os::read_file_if_any(file, 4u << 20);
  if (!text || trim(*text).empty()) {
    return Json::object();
  }
  Json json = codec::parse_json(*text, file.string());
  if (!json.is_object()) {
    throw Error(ErrorKind::Invalid, "`{}` is no JSON object", file.string());
  }
  return json;
}

void save(const fs::path& file, const Json& json) {
  os::make_dirs(file.parent_path(), 0700);
  std::error_code none;
  const fs::path real = fs::is_symlink(file, none) ? fs::canonical(file, none) : file;
  os::write_file(real.empty() ? file : real, json.dump(1, '\t') + "\n", 0600);
}

std::string text_of(const Json& json, const char* key) {
  const auto at = json.find(key);
  return at != json.end() && at->is_string() ? at->get<std::string>() : std::string();
}

/// The helper that holds credentials of `host`; empty: none.
std::string helper_of(const Json& config, const std::string& host) {
  if (const auto helpers = config.find("credHelpers"); helpers != config.end() && helpers->is_object()) {
    if (std::string name = text_of(*helpers, host.c_str()); !name.empty()) {
      return name;
    }
  }
  return text_of(config, "credsStore");
}

os::CommandResult ask_helper(const std::string& name, const char* verb, const std::string& input) {
  if (name.find('/') != std::string::npos) {
    throw Error(ErrorKind::Invalid, "`{}` is no name of a credential helper", printable(name));
  }
  os::Command command;
  command.argv = {"docker-credential-" + name, verb};
  command.input = input;
  command.output_limit = 1u << 20;
  command.timeout = std::chrono::seconds(60);
  return with_context([&] { return format("ask the credential helper `{}`", name); },
                      [&] { return os::run_command(command); });
}

Error helper_error(const std::string& name, const char* verb, const os::CommandResult& result) {
  Error error(ErrorKind::Unavailable, "the credential helper `{}` does not {}", name, verb);
  const std::string said = std::string(trim(result.out.empty() ? result.err : result.out));
  error.add_cause(said.empty() ? result.status.text() : printable(said.substr(0, 500)));
  return error;
}

std::optional<Credential> from_helper(const std::string& name, const std::string& host) {
  const os::CommandResult result = ask_helper(name, "get", host);
  if (!result.status.ok()) {
    if (result.out.find("credentials not found") != std::string::npos) {
      return std::nullopt;
    }
    throw helper_error(name, "get", result);
  }
  const Json json = codec::parse_json(result.out, "answer of docker-credential-" + name);
  Credential found{text_of(json, "Username"), text_of(json, "Secret"), false};
  if (found.secret.empty()) {
    return std::nullopt;
  }
  if (found.username == kTokenUser) {
    return Credential{"", found.secret, true};
  }
  return found;
}

/// "https://host:5000/v2/" and "host:5000" → "host:5000", "host/team" stays.
std::string normal_key(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"}) {
    if (key.starts_with(scheme)) {
      key.remove_prefix(scheme.size());
      return std::string(key.substr(0, key.find('/')));
    }
  }
  while (key.ends_with('/')) {
    key.remove_suffix(1);
  }
  return std::string(key);
}

std::optional<Credential> from_entry(const Json& entry, const std::string& file, const std::string& key) {
  if (!entry.is_object()) {
    return std::nullopt;
  }
  if (std::string token = text_of(entry, "identitytoken"); !token.empty()) {
    return Credential{"", std::move(token), true};
  }
  const std::string packed = text_of(entry, "auth");
  if (packed.empty()) {
    return std::nullopt;
  }
  const auto plain = codec::unbase64(packed);
  const std::size_t colon = plain ? plain->find(':') : std::string::npos;
  if (colon == std::string::npos) {
    throw Error(ErrorKind::Invalid, "`{}`: the `auth` of `{}` is not base64 of USER:PASSWORD", file, printable(key));
  }
  std::string secret = plain->substr(colon + 1);
  while (secret.ends_with('\0')) {
    secret.pop_back();
  }
  return Credential{plain->substr(0, colon), std::move(secret), false};
}

std::optional<Credential> from_auths(const Json& config, const std::string& file, const std::string& host,
                                     const std::string& repository) {
  const auto auths = config.find("auths");
  if (auths == config.end() || !auths->is_object()) {
    return std::nullopt;
  }
  const std::string full = repository.empty() ? host : host + "/" + repository;
  std::optional<Credential> best;
  std::size_t length = 0;
  for (const auto& [key, entry] : auths->items()) {
    const std::string name = normal_key(key);
    const bool fits = name == full || (full.starts_with(name + "/"));
    if (fits && name.size() > length) {
      if (auto found = from_entry(entry, file, key)) {
        best = std::move(found);
        length = name.size();
      }
    }
  }
  return best;
}

}  // namespace

CredentialFiles credential_files() {
  CredentialFiles files;
  const std::string folder = env("DOCKER_CONFIG");
  std::string home = env("HOME");
  if (home.empty()) {
    const auto user = os::user_by_id(::geteuid());
    home = user ? user->home : "/";
  }
  files.docker = (folder.empty() ? fs::path(home) / ".docker" : fs::path(folder)) / "config.json";
  if (const std::string file = env("REGISTRY_AUTH_FILE"); !file.empty()) {
    files.others.emplace_back(file);
  }
  if (const std::string runtime = env("XDG_RUNTIME_DIR"); !runtime.empty()) {
    files.others.push_back(fs::path(runtime) / "containers/auth.json");
  }
  return files;
}

std::optional<Credential> find_credential(const CredentialFiles& files, const std::string& host,
                                          const std::string& repository) {
  std::vector<fs::path> all = {files.docker};
  all.insert(all.end(), files.others.begin(), files.others.end());
  for (const fs::path& file : all) {
    const Json config = load(file);
    if (const std::string helper = helper_of(config, host); !helper.empty()) {
      if (auto found = from_helper(helper, host)) {
        return found;
      }
    }
    if (auto found = from_auths(config, file.string(), host, repository)) {
      return found;
    }
  }
  return std::nullopt;
}

std::string store_credential(const CredentialFiles& files, const std::string& host, const Credential& credential) {
  Json config = load(files.docker);
  if (!config["auths"].is_object()) {
    config["auths"] = Json::object();
  }
  if (const std::string helper = helper_of(config, host); !helper.empty()) {
    const Json record = {{"ServerURL", host},
                         {"Username", credential.identity_token ? std::string(kTokenUser) : credential.username},
                         {"Secret", credential.secret}};
    const os::CommandResult result = ask_helper(helper, "store", record.dump());
    if (!result.status.ok()) {
      throw helper_error(helper, "store", result);
    }
    config["auths"][host] = Json::object();  // docker notes in this way which registries the helper knows
    save(files.docker, config);
    return format("the credential helper `{}`", helper);
  }
  Json entry = Json::object();
  if (credential.identity_token) {
    entry["auth"] = codec::base64("00000000-0000-0000-0000-000000000000:");
    entry["identitytoken"] = credential.secret;
  } else {
    entry["auth"] = codec::base64(credential.username + ":" + credential.secret);
  }
  config["auths"][host] = std::move(entry);
  save(files.docker, config);
  return format("`{}`", files.docker.string());
}

bool erase_credential(const CredentialFiles& files, const std::string& host) {
  Json config = load(files.docker);
  bool had = false;
  if (const std::string helper = helper_of(config, host); !helper.empty() && from_helper(helper, host)) {
    const os::CommandResult result = ask_helper(helper, "erase", host);
    if (!result.status.ok()) {
      throw helper_error(helper, "erase", result);
    }
    had = true;
  }
  const auto auths = config.find("auths");
  if (auths == config.end() || !auths->is_object()) {
    return had;
  }
  std::vector<std::string> keys;
  for (const auto& [key, entry] : auths->items()) {
    if (normal_key(key) == host) {
      keys.push_back(key);
      had = had || !entry.empty();
    }
  }
  for (const std::string& key : keys) {
    auths->erase(key);
  }
  if (!keys.empty()) {
    save(files.docker, config);
  }
  return had;
}

}  // namespace slip::registry
