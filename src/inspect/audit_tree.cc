// What lies in an image's tree: bits that give rights, secrets, accounts, leftovers.
#include <algorithm>
#include <map>
#include <set>

#include "core/count.h"
#include "core/text.h"
#include "inspect/audit.h"
#include "inspect/packages.h"

namespace slip::inspect {
namespace {

using codec::FileType;

class Paths {
 public:
  void add(const std::string& path) {
    if (++count_ <= 3) {
      first_.push_back("/" + printable(path));
    }
  }
  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::string text() const {
    return join(first_, ", ") + (count_ > 3 ? format(" and {} more", count_ - 3) : "");
  }

 private:
  std::size_t count_ = 0;
  std::vector<std::string> first_;
};

Finding verdict(const char* id, const char* title, const Paths& bad, const char* wanted, const char* hint) {
  return bad.empty() ? fine(id, title, "none") : amiss(id, title, bad.text(), wanted, hint);
}

Finding check_setuid(const Tree& tree) {
  Paths bad;
  for (const auto& [path, file] : tree.files) {
    const bool runs = file.entry.type == FileType::Regular || file.entry.type == FileType::HardLink;
    if ((runs && (file.entry.mode & 06000) != 0) || file.entry.xattrs.contains("security.capability")) {
      bad.add(path);
    }
  }
  return verdict("C4.8", "no file gives its starter more rights", bad, "no setuid, setgid or capability bits",
                 "clear the bits with `chmod ug-s` while building");
}

Finding check_world_writable(const Tree& tree) {
  Paths bad;
  for (const auto& [path, file] : tree.files) {
    const bool folder = file.entry.type == FileType::Directory;
    const bool sticky = folder && (file.entry.mode & 01000) != 0;
    if ((folder || file.entry.type == FileType::Regular) && (file.entry.mode & 0002) != 0 && !sticky) {
      bad.add(path);
    }
  }
  return verdict("LOG1", "nothing can be written to by everybody", bad, "no mode o+w but for sticky folders",
                 "take the mode away with `chmod o-w`");
}

Finding check_devices(const Tree& tree) {
  Paths bad;
  for (const auto& [path, file] : tree.files) {
    if (file.entry.type == FileType::CharDevice || file.entry.type == FileType::BlockDevice) {
      bad.add(path);
    }
  }
  return verdict("C5.18", "the image holds no device nodes", bad, "devices come from whoever starts it",
                 "remove the nodes");
}

Finding check_secrets(const Subject& subject, const Owners& owners, const std::vector<Secret>& secrets) {
  const std::string title = "no secret among the files, of any layer";
  Paths bad;
  std::set<std::string> from;
  for (const Secret& secret : secrets) {
    // What a package ships is public, and the lock holds its digest: keys that its own tests use.
    const std::string& kind = subject.layer_kind(secret.layer);
    const std::string owner = owners.of(secret.path);
    if (!owner.empty() && (kind.empty() || kind == "debs" || kind == "wheels")) {
      from.insert(owner);
    } else {
      bad.add(secret.path + " (" + secret.what + ")");
    }
  }
  if (!bad.empty()) {
    return amiss("CIS-DI-0010", title, bad.text(), "secrets come as files, when it runs",
                 "list the file in .slipwayignore or remove it in the step that makes it, and change the secret");
  }
  if (!from.empty()) {
    return excepted("CIS-DI-0010", title, "files that look like keys in " + join({from.begin(), from.end()}, ", "),
                    "none", "published with these packages, for everybody to read");
  }
  return fine("CIS-DI-0010", title, "none");
}

Finding check_keys(const Tree& tree) {
  Paths bad;
  for (const auto& [path, file] : tree.files) {
    const std::string name = path.substr(path.rfind('/') + 1);
    if (file.entry.type == FileType::Regular && file.entry.size > 0 &&
        (name == "authorized_keys" || (name.starts_with("ssh_host_") && name.ends_with("_key")))) {
      bad.add(path);
    }
  }
  return verdict("SSH2", "no host key and nobody's login key in the image", bad,
                 "keys are made or mounted when it runs", "remove them: an image is the same for everybody");
}

/// Rows of passwd or shadow as fields.
std::vector<std::vector<std::string_view>> rows(std::string_view text) {
  std::vector<std::vector<std::string_view>> all;
  for (const std::string_view line : split(text, '\n')) {
    if (!line.empty() && line.front() != '#') {
      all.push_back(split(line, ':'));
    }
  }
  return all;
}

std::vector<Finding> check_accounts(const Tree& tree) {
  std::vector<Finding> findings;
  std::vector<std::string> empty;
  std::vector<std::string> twice;
  std::map<std::string_view, std::string_view> ids;
  for (const auto& row : rows(tree.text("etc/passwd"))) {
    if (row.size() > 1 && row[1].empty()) {
      empty.emplace_back(row[0]);
    }
    if (row.size() > 2 && !ids.emplace(row[2], row[0]).second) {
      twice.push_back(format("{} and {} are both {}", ids[row[2]], row[0], row[2]));
    }
  }
  for (const auto& row : rows(tree.text("etc/shadow"))) {
    if (row.size() > 1 && row[1].empty()) {
      empty.emplace_back(row[0]);
    }
  }
  const std::string no_password = "no account has an empty password";
  findings.push_back(empty.empty() ? fine("DKL-LI-0001", no_password, counted(ids.size(), "account"))
                                   : amiss("DKL-LI-0001", no_password, join(empty, ", "), "a locked password (`!`)",
                                           "lock it with `passwd -l`"));
  const std::string unique = "no two accounts share an id";
  findings.push_back(twice.empty() ? fine("DKL-LI-0002", unique, counted(ids.size(), "account"))
                                   : amiss("DKL-LI-0002", unique, join(twice, ", "), "one account per id",
                                           "give one of them another id"));
  return findings;
}

Finding check_sudo(const Tree& tree) {
  Paths bad;
  for (const char* path : {"usr/bin/sudo", "bin/sudo", "usr/bin/doas", "usr/bin/pkexec"}) {
    if (tree.find(path) != nullptr) {
      bad.add(path);
    }
  }
  return verdict("DKL-DI-0001", "nothing there to become root with", bad, "no sudo, doas or pkexec",
                 "leave the package out: slipway's users need none");
}

Finding check_leftovers(const Tree& tree) {
  Paths bad;
  for (const auto& [path, file] : tree.files) {
    const bool regular = file.entry.type == FileType::Regular;
    const std::string name = path.substr(path.rfind('/') + 1);
    if ((regular && path.starts_with("var/lib/apt/lists/") && name != "lock") ||
        (regular && path.starts_with("var/cache/apt/archives/") && path.ends_with(".deb"))) {
      bad.add(path);
    }
  }
  return verdict("DKL-DI-0005", "no package index or archive is left over", bad, "none of apt's lists and archives",
                 "remove /var/lib/apt/lists and /var/cache/apt in the step that fills them");
}

Finding check_junk(const Tree& tree, const Owners& owners) {
  Paths bad;
  for (const auto& [path, file] : tree.files) {
    const std::string name = path.substr(path.rfind('/') + 1);
    const bool folder = file.entry.type == FileType::Directory && (name == ".git" || name == ".hg" || name == ".svn");
    const bool single = file.entry.type == FileType::Regular && (name == ".env" || name == ".DS_Store");
    if ((folder || single) && owners.of(path).empty()) {
      bad.add(path);
    }
  }
  return verdict("DKL-LI-0003", "no history, .env or other files that nobody meant to ship", bad, "none",
                 "list them in .slipwayignore");
}

}  // namespace

bool audit_reads(const codec::TarEntry& entry) {
  const std::string& p = entry.path;
  return p == "etc/passwd" || p == "etc/shadow" || p == "etc/group" || p == "etc/os-release" ||
         p == "usr/lib/os-release" || owners_read(entry) || p.starts_with("etc/slipway/") ||
         p.starts_with("usr/lib/slipway/") || p == "etc/ssh/sshd_config" ||
         ((p.find("jupyter") != std::string::npos || p.find(".jupyter") != std::string::npos) && entry.size < 65536 &&
          (p.ends_with("_config.py") || p.ends_with("_config.json")));
}

std::vector<Finding> audit_tree(const Subject& subject, const Tree& tree, const std::vector<Secret>& secrets) {
  const Owners owners(tree);
  std::vector<Finding> findings = {check_setuid(tree),  check_secrets(subject, owners, secrets),
                                   check_keys(tree),    check_world_writable(tree),
                                   check_devices(tree), check_sudo(tree)};
  for (Finding& finding : check_accounts(tree)) {
    findings.push_back(std::move(finding));
  }
  findings.push_back(check_leftovers(tree));
  findings.push_back(check_junk(tree, owners));
  return findings;
}

}  // namespace slip::inspect
