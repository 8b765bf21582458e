#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

/// User names and passwords of registries, kept where docker keeps them, so that one login serves every tool.
namespace slip::registry {

struct Credential {
  std::string username;
  std::string secret;           ///< password, or
  bool identity_token = false;  ///< an OAuth2 refresh token; then `username` is empty
  bool operator==(const Credential&) const = default;
};

/// The files of this person.
struct CredentialFiles {
  std::filesystem::path docker;               ///< config.json: read and written
  std::vector<std::filesystem::path> others;  ///< read after it: podman's auth.json and the like
};
/// $DOCKER_CONFIG/config.json or ~/.docker/config.json; then $REGISTRY_AUTH_FILE and
/// $XDG_RUNTIME_DIR/containers/auth.json.
CredentialFiles credential_files();

/// What is known for `host`: credHelpers, then credsStore, then auths, file after file. Keys of auths may be the host,
/// a URL of it, or `host/path` for a part of its repositories (the longest that fits wins).
/// @throws Error Invalid: a file is malformed; Unavailable: a helper fails in another way than having nothing
/// @source docker's config.json and its credential helper protocol; containers-auth.json(5)
std::optional<Credential> find_credential(const CredentialFiles& files, const std::string& host,
                                          const std::string& repository = {});

/// Keeps it as docker would: with the helper that config.json names, else in config.json itself (0600). Everything else
/// in the file stays as it is. Returns where it went, for people.
std::string store_credential(const CredentialFiles& files, const std::string& host, const Credential& credential);

/// Forgets it. False when config.json and its helpers had none.
bool erase_credential(const CredentialFiles& files, const std::string& host);

}  // namespace slip::registry
