#include <unistd.h>

#include "command.h"
#include "core/error.h"
#include "oci/reference.h"
#include "options.h"
#include "registry/access.h"
#include "registry/credentials.h"
#include "registry/remote.h"
#include "secret_input.h"
#include "session.h"

namespace slip::cli {
namespace {

class Login final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Checks user and password at a registry and keeps them where docker keeps them: in config.json of "
        "$DOCKER_CONFIG "
        "or ~/.docker, or with the credential helper that it names. docker and podman find them there, and slipway "
        "finds theirs.\n\n"
        "`--ca` names the CA of a registry with a certificate of your organisation's own, `--cert` and `--key` what a "
        "registry wants to see of the client; copies are kept beside slipway's config.toml.");
    o.arg("HOST", host_, "the registry, with its port where it has one").required();
    o.value("username", 'u', "U", username_, "the user").fallback("asked for");
    o.flag("password-stdin", password_stdin_, "read the password, or a robot's token, from standard input");
    o.value("ca", "FILE", ca_, "PEM file of the registry's CA").file();
    o.value("cert", "FILE", cert_, "PEM file of the certificate to show").file();
    o.value("key", "FILE", key_, "PEM file of its private key").file();
    o.example("slipway login registry.example.com", "asks for user and password");
    o.example("slipway login registry.example.com -u 'robot$team+ci' --password-stdin < token.txt", "for CI");
  }

  int run(Session& s) override {
    const std::string host = checked_host();
    if (cert_.empty() != key_.empty()) {
      throw Error(ErrorKind::Usage, "--cert and --key go together");
    }
    const bool certificates = !ca_.empty() || !cert_.empty();
    registry::Credential credential;
    if (!certificates || !username_.empty() || password_stdin_) {
      credential = ask();
    }
    registry::Access access = registry::access_of(s.config(), host);
    access.ca_file = ca_.empty() ? access.ca_file : ca_;
    access.cert_file = cert_.empty() ? access.cert_file : cert_;
    access.key_file = key_.empty() ? access.key_file : key_;
    registry::Remote remote(
        access, s.http_options(),
        [&] { return credential.username.empty() ? std::optional<registry::Credential>() : credential; }, s.events());
    if (credential.username.empty()) {
      remote.reach();
      registry::keep_certificates(s.config(), host, ca_, cert_, key_);
      s.say(format("Reached {}; its certificates are kept", host));
      return 0;
    }
    with_hint_at_the_shell(credential.username, [&] { remote.log_in(); });
    registry::keep_certificates(s.config(), host, ca_, cert_, key_);
    const std::string place = registry::store_credential(registry::credential_files(), host, credential);
    s.say(format("Logged in to {} as {}; kept in {}", host, credential.username, place));
    return 0;
  }

 private:
  /// Robots of Harbor are called robot$PROJECT+NAME; in double quotes, or in none, the shell takes a part of that away.
  template <class Body>
  static void with_hint_at_the_shell(const std::string& user, Body&& body) {
    try {
      body();
    } catch (Error& e) {
      if (e.kind() == ErrorKind::Denied && user.starts_with("robot") && user.find('$') == std::string::npos) {
        e.add_hint("a robot's name has a `$`, which the shell takes away but in single quotes: 'robot$project+name'");
      }
      throw;
    }
  }

  /// Refuses what could be no registry before anything is asked.
  [[nodiscard]] std::string checked_host() const {
    std::string host = host_;
    for (const char* scheme : {"https://", "http://"}) {
      if (host.starts_with(scheme)) {
        host.erase(0, std::string_view(scheme).size());
      }
    }
    while (host.ends_with('/')) {
      host.pop_back();
    }
    if (host.empty() || host.find_first_of("/@?# \t") != std::string::npos || host.starts_with('.')) {
      throw Error(ErrorKind::Usage, "`{}` is no host of a registry", host_)
          .add_hint("write registry.example.com or HOST:PORT");
    }
    return host;
  }

  registry::Credential ask() {
    registry::Credential credential{username_, "", false};
    if (credential.username.empty() && password_stdin_) {
      throw Error(ErrorKind::Usage, "--password-stdin needs --username");
    }
    if (credential.username.empty()) {
      credential.username = ask_line("Username: ");
    }
    credential.secret = ask_secret("Password: ");
    while (credential.secret.ends_with('\r')) {
      credential.secret.pop_back();
    }
    if (credential.username.empty() || credential.secret.empty()) {
      throw Error(ErrorKind::Usage, "{} is empty", credential.username.empty() ? "the user" : "the password");
    }
    return credential;
  }

  std::string host_;
  std::string username_;
  std::string ca_;
  std::string cert_;
  std::string key_;
  bool password_stdin_ = false;
};

}  // namespace

std::unique_ptr<Command> make_login() { return std::make_unique<Login>(); }

}  // namespace slip::cli
