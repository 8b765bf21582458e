// What looks like a secret: names and contents of files, values of variables, labels and arguments.
#include <algorithm>
#include <array>
#include <cctype>

#include "core/text.h"
#include "inspect/audit.h"

namespace slip::inspect {
namespace {

struct NamedSecret {
  std::string_view tail;  ///< of the path, at a "/"
  std::string_view what;
};
constexpr std::array kNames = {
    NamedSecret{".netrc", "passwords of .netrc"},
    NamedSecret{".pypirc", "a password for package indexes"},
    NamedSecret{".git-credentials", "passwords of git"},
    NamedSecret{".docker/config.json", "credentials of registries"},
    NamedSecret{".config/containers/auth.json", "credentials of registries"},
    NamedSecret{".aws/credentials", "cloud credentials"},
    NamedSecret{".kube/config", "credentials of a cluster"},
    NamedSecret{".pgpass", "database passwords"},
    NamedSecret{".my.cnf", "database passwords"},
    NamedSecret{"id_rsa", "a personal SSH key"},
    NamedSecret{"id_dsa", "a personal SSH key"},
    NamedSecret{"id_ecdsa", "a personal SSH key"},
    NamedSecret{"id_ed25519", "a personal SSH key"},
    NamedSecret{"jupyter_token", "a token of Jupyter"},
    NamedSecret{"jupyter_password", "a password of Jupyter"},
    NamedSecret{"jupyter_cookie_secret", "Jupyter's cookie secret"},
    NamedSecret{"notebook_cookie_secret", "Jupyter's cookie secret"},
};

bool ends_with_path(std::string_view path, std::string_view tail) {
  return path == tail ||
         (path.size() > tail.size() && path.ends_with(tail) && path[path.size() - tail.size() - 1] == '/');
}

bool is_base64(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '+' || c == '/' || c == '='; }

/// A PEM block with a body, not a string constant that speaks of one.
bool has_private_key(std::string_view text) {
  constexpr std::string_view kBegin = "-----BEGIN ";
  for (std::size_t at = text.find(kBegin); at != std::string_view::npos; at = text.find(kBegin, at + 1)) {
    const std::string_view rest = text.substr(at + kBegin.size());
    const std::size_t end = rest.find("-----\n");
    if (end == std::string_view::npos || end > 40 || !rest.substr(0, end).ends_with("PRIVATE KEY")) {
      continue;
    }
    std::string_view body = rest.substr(end + 6);
    const std::size_t blank = body.starts_with("Proc-Type:") ? body.find("\n\n") : std::string_view::npos;
    body = blank == std::string_view::npos ? body : body.substr(blank + 2);
    if (body.size() > 40 && std::all_of(body.begin(), body.begin() + 40, is_base64)) {
      return true;
    }
  }
  return false;
}

/// A word that starts with `prefix` and goes on with at least `length` letters and digits.
bool has_token(std::string_view text, std::string_view prefix, std::size_t length) {
  for (std::size_t at = text.find(prefix); at != std::string_view::npos; at = text.find(prefix, at + 1)) {
    if (at > 0 && (std::isalnum(static_cast<unsigned char>(text[at - 1])) != 0)) {
      continue;
    }
    const std::string_view rest = text.substr(at + prefix.size());
    std::size_t run = 0;
    while (run < rest.size() && (std::isalnum(static_cast<unsigned char>(rest[run])) != 0 || rest[run] == '_')) {
      ++run;
    }
    if (run >= length) {
      return true;
    }
  }
  return false;
}

/// "https://user:password@host" with both parts.
bool has_url_password(std::string_view text) {
  for (std::size_t at = text.find("://"); at != std::string_view::npos; at = text.find("://", at + 3)) {
    const std::string_view rest = text.substr(at + 3, 300);
    const std::string_view authority = rest.substr(0, rest.find_first_of("/ \t\r\n\"'<>)"));
    const std::size_t host = authority.rfind('@');
    const std::size_t colon = authority.find(':');
    if (host != std::string_view::npos && colon != std::string_view::npos && colon + 1 < host && colon > 0) {
      return true;
    }
  }
  return false;
}

std::string secret_in_text(std::string_view text) {
  if (has_private_key(text)) {
    return "a private key";
  }
  if (has_token(text, "AKIA", 16)) {
    return "a cloud access key";
  }
  if (has_token(text, "ghp_", 36) || has_token(text, "github_pat_", 22) || has_token(text, "glpat-", 20)) {
    return "a token of a code host";
  }
  return {};
}

}  // namespace

std::string secret_in(std::string_view name, std::string_view text) {
  if (std::string what = secret_in_text(text); !what.empty()) {
    return what;
  }
  if (has_url_password(text)) {
    return "a password in a URL";
  }
  const std::string lower = to_lower(name);
  if (text.empty() || text.starts_with('/') || lower.ends_with("_file") || lower.ends_with("_path")) {
    return {};
  }
  for (const std::string_view word :
       {"password", "passwd", "secret", "token", "api_key", "apikey", "private_key", "credential"}) {
    if (lower.find(word) != std::string::npos) {
      return format("a value called {}", name);
    }
  }
  return {};
}

void SecretScan::look(std::size_t layer, const codec::TarEntry& entry, std::string_view content) {
  if (content.empty()) {
    return;
  }
  for (const NamedSecret& known : kNames) {
    if (ends_with_path(entry.path, known.tail)) {
      found_.push_back({entry.path, layer, std::string(known.what)});
      return;
    }
  }
  if (std::string what = secret_in_text(content); !what.empty()) {
    found_.push_back({entry.path, layer, std::move(what)});
  }
}

}  // namespace slip::inspect
