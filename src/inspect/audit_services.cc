// How Jupyter and sshd are set up in an image.
#include <algorithm>
#include <map>

#include "core/text.h"
#include "inspect/audit.h"

namespace slip::inspect {
namespace {

/// sshd_config as a map, names in lower case; as in sshd the first of two values counts. Match blocks end the reading.
/// @source sshd_config(5)
std::map<std::string, std::string> sshd_settings(std::string_view text) {
  std::map<std::string, std::string> settings;
  for (const std::string_view line : split(text, '\n')) {
    const auto words = split_words(line);
    if (words.size() < 2 || words[0].starts_with('#')) {
      continue;
    }
    const std::string name = to_lower(words[0]);
    if (name == "match") {
      break;
    }
    std::vector<std::string> values(words.begin() + 1, words.end());
    settings.emplace(name, join(values, " "));
  }
  return settings;
}

struct Rule {
  const char* name;
  const char* wanted;    ///< the value that is safe
  const char* fallback;  ///< what sshd takes when the file is silent
};
constexpr Rule kLogin[] = {{"passwordauthentication", "no", "yes"},
                           {"kbdinteractiveauthentication", "no", "yes"},
                           {"permitemptypasswords", "no", "no"},
                           {"permitrootlogin", "no", "prohibit-password"},
                           {"usepam", "no", "no"}};
constexpr Rule kForwarding[] = {{"allowtcpforwarding", "local", "yes"}, {"gatewayports", "no", "no"},
                                {"allowagentforwarding", "no", "yes"},  {"permittunnel", "no", "no"},
                                {"x11forwarding", "no", "no"},          {"permituserenvironment", "no", "no"}};

template <std::size_t N>
std::vector<std::string> broken(const std::map<std::string, std::string>& settings, const Rule (&rules)[N]) {
  std::vector<std::string> bad;
  for (const Rule& rule : rules) {
    const auto at = settings.find(rule.name);
    const std::string value = at == settings.end() ? rule.fallback : to_lower(at->second);
    const bool none = std::string(rule.name) == "allowtcpforwarding" && value == "no";
    if (value != rule.wanted && !none) {
      bad.push_back(format("{} {}", rule.name, value));
    }
  }
  return bad;
}

bool has_tty_group(const Tree& tree) {
  for (const std::string_view row : split(tree.text("etc/group"), '\n')) {
    if (row.starts_with("tty:")) {
      return true;
    }
  }
  return false;
}

Finding check_algorithms(const std::map<std::string, std::string>& settings) {
  const std::string title = "SSH speaks only modern algorithms";
  std::vector<std::string> bad;
  for (const char* name : {"kexalgorithms", "ciphers", "macs"}) {
    const auto at = settings.find(name);
    if (at == settings.end()) {
      bad.push_back(format("{}: sshd's defaults", name));
      continue;
    }
    for (const char* weak : {"sha1", "cbc", "md5", "group1-", "group14-", "nistp", "3des", "arcfour", "umac-64"}) {
      if (at->second.find(weak) != std::string::npos) {
        bad.push_back(format("{} has {}", name, weak));
      }
    }
  }
  return bad.empty() ? fine("SSH4", title, settings.at("kexalgorithms"))
                     : amiss("SSH4", title, join(bad, ", "), "curve25519, AEAD ciphers, encrypt-then-MAC",
                             "name KexAlgorithms, Ciphers and MACs in sshd_config");
}

std::vector<Finding> audit_ssh(const Tree& tree) {
  const std::string title = "no SSH server in a container";
  if (tree.find("usr/sbin/sshd") == nullptr) {
    return {fine("C5.7", title, "none")};
  }
  const bool ours = tree.find("usr/lib/slipway/start-ssh") != nullptr;
  const std::string file = ours ? "etc/slipway/sshd_config" : "etc/ssh/sshd_config";
  const auto settings = sshd_settings(tree.text(file));
  const std::vector<std::string> login = broken(settings, kLogin);
  const std::vector<std::string> forwarding = broken(settings, kForwarding);
  std::vector<Finding> findings;
  const bool tty = has_tty_group(tree);
  if (ours && login.empty() && !tty) {
    findings.push_back(excepted("C5.7", title, "sshd of the workspace", "none",
                                "editors and rsync need it: as the workspace user, keys only, without capabilities, on "
                                "loopback, without the group tty"));
  } else {
    findings.push_back(amiss("C5.7", title, tty && ours ? "sshd, and the group tty" : "sshd",
                             "none, or the one that slipway starts",
                             "take openssh-server out, or name `services: {ssh: "
                             "{}}` and build it with slipway"));
  }
  const std::string only_keys = "SSH lets in keys alone, one account, never root";
  findings.push_back(login.empty() && settings.contains("allowusers")
                         ? fine("SSH1", only_keys, "AllowUsers " + settings.at("allowusers"))
                         : amiss("SSH1", only_keys, login.empty() ? "no AllowUsers" : join(login, ", "),
                                 "publickey, AllowUsers, no passwords", "change /" + file));
  const std::string local = "SSH forwards nothing back";
  findings.push_back(forwarding.empty() ? fine("SSH3", local, "local forwarding only")
                                        : amiss("SSH3", local, join(forwarding, ", "),
                                                "AllowTcpForwarding local, the rest no", "change /" + file));
  findings.push_back(check_algorithms(settings));
  return findings;
}

/// Blanks and quotes make no difference: "c.NotebookApp.token = ''" → "c.NotebookApp.token="; in JSON ":" is the "=".
std::vector<std::string> settings_of(std::string_view text, bool json) {
  std::vector<std::string> lines;
  for (const std::string_view line : split(text, '\n')) {
    std::string squeezed;
    for (const char c : line) {
      if (c != ' ' && c != '\t' && c != '"' && c != '\'' && c != ',' && c != '\r') {
        squeezed += json && c == ':' ? '=' : c;
      }
    }
    if (!squeezed.starts_with('#')) {
      lines.push_back(std::move(squeezed));
    }
  }
  return lines;
}

struct JupyterFlaws {
  std::vector<std::string> no_token, origin, root, argv;
};

void look(const std::string& place, std::string_view text, JupyterFlaws& flaws) {
  for (const std::string& line : settings_of(text, place.ends_with(".json"))) {
    const std::string lower = to_lower(line);
    if (lower.ends_with(".token=") || lower == "token=" || lower.ends_with("{token=")) {
      flaws.no_token.push_back(place);
    }
    if (lower.find("allow_origin=*") != std::string::npos ||
        lower.find("disable_check_xsrf=true") != std::string::npos) {
      flaws.origin.push_back(place + ": " + printable(line));
    }
    if (lower.find("allow_root=true") != std::string::npos) {
      flaws.root.push_back(place);
    }
  }
}

void look_at_command(const oci::ImageConfig& config, JupyterFlaws& flaws) {
  for (const std::vector<std::string>* words : {&config.entrypoint, &config.cmd}) {
    for (const std::string& all : *words) {
      for (const std::string_view word : split_words(all)) {  // "sh -c" hides words in one
        const std::string lower = to_lower(word);
        if (lower == "--allow-root") {
          flaws.root.emplace_back("the start command");
        }
        const std::size_t token = lower.find("token=");
        if (lower.starts_with("--") && token != std::string::npos) {
          (token + 6 == lower.size() || lower.ends_with("=''") ? flaws.no_token : flaws.argv)
              .push_back("the start command: " + printable(word.substr(0, token + 6)));
        }
      }
    }
  }
}

Finding jupyter_verdict(const char* id, const char* title, const std::vector<std::string>& bad, const char* found,
                        const char* wanted, const char* hint) {
  return bad.empty() ? fine(id, title, found) : amiss(id, title, join(bad, ", "), wanted, hint);
}

std::vector<Finding> audit_jupyter(const Subject& subject, const Tree& tree) {
  JupyterFlaws flaws;
  for (const auto& [path, file] : tree.files) {
    const std::string name = path.substr(path.rfind('/') + 1);
    if (!file.text.empty() && name.find("jupyter") != std::string::npos &&
        (name.ends_with("_config.py") || name.ends_with("_config.json"))) {
      look("/" + path, file.text, flaws);
    }
  }
  look_at_command(subject.config(), flaws);
  return {jupyter_verdict("JS1", "Jupyter never runs without a token or password", flaws.no_token,
                          "no empty token in its configuration", "a token from a file",
                          "take the empty token out: slipway makes one per workspace"),
          jupyter_verdict("JS2", "no token of Jupyter in a command line", flaws.argv, "none", "a token from a file",
                          "let the configuration read a file that is mounted"),
          jupyter_verdict("JS5", "Jupyter checks where requests come from", flaws.origin, "its own origin only",
                          "no allow_origin *, XSRF checks on", "take the setting out"),
          jupyter_verdict("JS6", "Jupyter never runs as root", flaws.root, "no --allow-root", "no --allow-root",
                          "run it as the workspace user")};
}

bool has_jupyter(const Tree& tree) {
  for (const auto& [path, file] : tree.files) {
    const std::string name = path.substr(path.rfind('/') + 1);
    if ((name == "jupyter-notebook" || name == "jupyter-lab" || name == "jupyter_config.py") &&
        file.entry.type != codec::FileType::Directory) {
      return true;
    }
  }
  return false;
}

Finding check_shell(const Subject& subject, const Tree& tree) {
  const std::string title = "a model image holds no shell and no interpreter";
  if (!is_model(subject.config())) {
    return fine("MODEL1", title, "no model image");
  }
  std::vector<std::string> there;
  for (const char* path : {"bin/sh", "bin/bash", "usr/bin/sh", "usr/bin/bash", "usr/bin/dash", "usr/bin/busybox",
                           "usr/bin/perl", "usr/bin/python3", "opt/venv/bin/python"}) {
    if (tree.find(path) != nullptr) {
      there.push_back(std::string("/") + path);
    }
  }
  return there.empty() ? fine("MODEL1", title, "none")
                       : amiss("MODEL1", title, join(there, ", "), "none", "build it with `slipway ship`");
}

}  // namespace

std::vector<Finding> audit_services(const Subject& subject, const Tree& tree) {
  std::vector<Finding> findings = audit_ssh(tree);
  if (has_jupyter(tree)) {
    for (Finding& finding : audit_jupyter(subject, tree)) {
      findings.push_back(std::move(finding));
    }
  }
  findings.push_back(check_shell(subject, tree));
  return findings;
}

}  // namespace slip::inspect
