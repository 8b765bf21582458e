#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "core/count.h"
#include "core/error.h"
#include "core/text.h"
#include "deb/control.h"
#include "deb/deb.h"
#include "deb/dpkg_db.h"
#include "deb/normalise.h"
#include "deb/order.h"
#include "os/file.h"

namespace slip::deb {
namespace {

// dpkg runs a preinst out of tmp.ci, with the package's other control files beside it: debconf finds there whose
// questions are asked. The control file itself comes on stdin.
constexpr const char* kRunPreinst = R"(
set -e
d=/var/lib/dpkg/tmp.ci
rm -rf "$d"
mkdir -m 0755 "$d"
cat > "$d/control"
for file in "/var/lib/dpkg/info/$1".*; do
  cp -p "$file" "$d/${file#/var/lib/dpkg/info/"$1".}"
done
rm -f "$d/list"
status=0
"$d/preinst" install || status=$?
rm -rf "$d"
exit $status
)";

// No service may be started while packages are configured.
constexpr const char* kForbidServices = R"(
set -e
umask 022
printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d
)";
constexpr const char* kAllowServices = "rm -f /usr/sbin/policy-rc.d";

// man-db would index all manual pages, for more time than everything else together; its index is dropped anyway.
constexpr const char* kPreseed = "man-db man-db/auto-update boolean false\n";

// dpkg brings a configuration file to its name only when its own package is configured. Hooks in /etc that were there
// earlier would be run by other packages' scripts while what they call is not ready (libpaper1 runs texlive's). The
// essential packages keep theirs, as with every bootstrap.
constexpr const char* kHideConffiles = R"(
my $path = '/var/lib/dpkg/status';
local $/ = '';
open(my $in, '<', $path) or die "$path: $!";
my @paragraphs = <$in>;
close($in);
for (@paragraphs) {
  next unless /^Status: install ok unpacked$/m;
  s{^ (/.+) [0-9a-f]{32}$}{rename($1, "$1.dpkg-new") or die "$1: $!"; " $1 newconffile"}gme;
}
open(my $out, '>', $path) or die "$path: $!";
print $out @paragraphs or die "$path: $!";
close($out) or die "$path: $!";
)";

// Byte code that scripts wrote holds sets in an order that depends on the hash seed of each process, and a flag that
// makes every import hash the source again. All of it is made anew: one process, sorted, unchecked hashes, and marshal
// version 2, whose output does not depend on how often an object is referred to.
constexpr const char* kRecompile = R"(
import importlib.util, marshal, os, struct, sys
tag = '.' + sys.implementation.cache_tag + '.pyc'
found = []
for top in ('/usr/lib', '/usr/share', '/usr/local/lib', '/etc', '/opt'):
    for folder, folders, files in os.walk(top):
        folders.sort()
        if os.path.basename(folder) == '__pycache__':
            found += [os.path.join(folder, f) for f in files if f.endswith(tag)]
for target in sorted(found):
    folder, leaf = os.path.split(target)
    source = os.path.join(os.path.dirname(folder), leaf[:-len(tag)] + '.py')
    try:
        with open(source, 'rb') as f:
            text = f.read()
    except FileNotFoundError:
        continue
    code = compile(text, source, 'exec', dont_inherit=True, optimize=0)
    with open(target, 'wb') as f:
        f.write(importlib.util.MAGIC_NUMBER + struct.pack('<I', 1) + importlib.util.source_hash(text) + marshal.dumps(code, 2))
)";

// A diverted file, whose content comes on stdin, where its diversion has it: $1 name, $2 mode, $3 owner.
constexpr const char* kPlaceFile = R"(
set -e
cat > "$1"
chown "$3" "$1"
chmod "$2" "$1"
)";

/// What dpkg and scripts print last, as causes of an error.
void add_output(Error& error, std::string_view output) {
  const std::vector<std::string_view> lines = split(trim(output), '\n');
  const std::size_t first = lines.size() > 20 ? lines.size() - 20 : 0;
  for (std::size_t i = first; i < lines.size(); ++i) {
    if (!trim(lines[i]).empty()) {
      error.add_cause(printable(lines[i]));
    }
  }
}

struct FailedScript {
  std::string package, script, status;
};

/// dpkg names the script that failed:
///   dpkg: error processing package foo (--configure):
///    installed foo package post-installation script subprocess returned error exit status 3
/// The last is the one: what depends on it is reported before or after without a script.
std::optional<FailedScript> failed_script(std::string_view output) {
  static constexpr std::string_view kStart = " installed ";
  static constexpr std::string_view kEnd = " script subprocess ";
  for (const std::string_view line : split(output, '\n')) {
    const std::size_t end = line.find(kEnd);
    if (!line.starts_with(kStart) || end == std::string_view::npos) {
      continue;
    }
    const std::vector<std::string_view> words = split_words(line.substr(kStart.size(), end - kStart.size()));
    if (words.size() < 3) {
      continue;
    }
    std::string status(line.substr(end + kEnd.size()));
    const std::size_t number = status.find("exit status ");
    return FailedScript{std::string(words.front()),
                        words.back() == "post-installation" ? "postinst" : std::string(words.back()),
                        number == std::string::npos ? printable(status) : "exited " + status.substr(number + 12)};
  }
  return std::nullopt;
}

/// One configuration of a whole set in a sandbox.
class Configuration {
 public:
  Configuration(launch::Sandbox& sandbox, std::span<const Unpacked> packages, std::span<const Overlap> overlaps,
                Task& task)
      : sandbox_(sandbox),
        packages_(packages),
        overlaps_(overlaps),
        order_(configure_order(packages)),
        pending_(packages.size()),
        task_(task) {
    for (const Unpacked& package : packages) {
      if (package.name() == "dpkg") {
        dpkg_version_ = package.field("Version");
      }
    }
    if (dpkg_version_.empty()) {
      throw Error(ErrorKind::Invalid, "the set of packages has no dpkg, which configures the others");
    }
  }

  void run() {
    shell(kForbidServices, "keep services from being started");
    install(order_.essential);
    preseed();
    hide_conffiles();
    install(order_.rest);
    dpkg({"--configure", "-a"});
    shell(kAllowServices, "remove policy-rc.d");
    recompile();
    verify();
  }

 private:
  void shell(const char* script, const char* what) {
    const launch::SandboxRun ran = sandbox_.run({"/bin/sh", "-c", script}, env());
    if (!ran.status.ok()) {
      Error error(ErrorKind::Invalid, "{}: {}", what, ran.status.text());
      add_output(error, ran.output);
      throw error;
    }
  }

  [[nodiscard]] static std::map<std::string, std::string> env() {
    // TeX honours SOURCE_DATE_EPOCH for what a document sees only when forced to.
    return {{"DEBIAN_FRONTEND", "noninteractive"},
            {"DEBCONF_NONINTERACTIVE_SEEN", "true"},
            {"DEBCONF_NOWARNINGS", "yes"},
            {"FORCE_SOURCE_DATE", "1"}};
  }

  /// Runs every preinst in order and configures what has gathered, before a preinst that needs it and at the end.
  void install(const std::vector<std::size_t>& indexes) {
    for (const std::size_t i : indexes) {
      if (packages_[i].control_file("preinst") != nullptr) {
        const auto& needed = order_.pre_depends[i];
        if (std::any_of(needed.begin(), needed.end(), [&](std::size_t n) {
              return pending_[n] && packages_[n].control_file("postinst") != nullptr;
            })) {
          flush();
        }
        preinst(packages_[i]);
        place_diverted(i);
      }
      pending_[i] = true;
      names_.push_back(packages_[i].name());
    }
    flush();
  }

  void flush() {
    if (names_.empty()) {
      return;
    }
    std::vector<std::string> arguments = {"--configure"};
    arguments.insert(arguments.end(), names_.begin(), names_.end());
    dpkg(arguments);
    done_ += names_.size();
    names_.clear();
    pending_.assign(packages_.size(), false);
    task_.progress(done_, packages_.size());
  }

  void dpkg(const std::vector<std::string>& arguments) {
    std::vector<std::string> argv = {"dpkg", "--force-unsafe-io", "--force-confold"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    const launch::SandboxRun ran = sandbox_.run(argv, env());
    if (ran.status.ok()) {
      return;
    }
    if (const auto failed = failed_script(ran.output)) {
      Error error(ErrorKind::Invalid, "package {}: its {} {}", failed->package, failed->script, failed->status);
      add_output(error, ran.output);
      throw error;
    }
    Error error(ErrorKind::Invalid, "dpkg {}: {}", arguments.front(), ran.status.text());
    add_output(error, ran.output);
    throw error;
  }

  void preinst(const Unpacked& package) {
    std::map<std::string, std::string> with = env();
    with["DPKG_MAINTSCRIPT_PACKAGE"] = package.name();
    with["DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT"] = "1";
    with["DPKG_MAINTSCRIPT_ARCH"] = package.field("Architecture");
    with["DPKG_MAINTSCRIPT_NAME"] = "preinst";
    with["DPKG_MAINTSCRIPT_DEBUG"] = "0";
    with["DPKG_ROOT"] = "";
    with["DPKG_ADMINDIR"] = "/var/lib/dpkg";
    with["DPKG_RUNNING_VERSION"] = dpkg_version_;
    const launch::SandboxRun ran = sandbox_.run({"/bin/sh", "-c", kRunPreinst, "preinst", info_name(package)}, with,
                                                "/", package.control_text + "\n");
    if (!ran.status.ok()) {
      Error error(ErrorKind::Invalid, "package {}: its preinst {}", package.name(),
                  ran.status.signal != 0 ? ran.status.text() : format("exited {}", ran.status.code));
      add_output(error, ran.output);
      throw error;
    }
  }

  /// The files of others that this package's preinst has just diverted: dpkg-divert renames only what lies there, and
  /// ours is already the diverting package's own.
  void place_diverted(std::size_t winner) {
    for (const Overlap& overlap : overlaps_) {
      if (!overlap.diverted || overlap.winner != winner) {
        continue;
      }
      const codec::LayerItem& lost = overlap.lost;
      const std::string target = diversion_of(overlap.path, packages_[winner].name());
      std::vector<std::string> argv = {"/bin/sh",
                                       "-c",
                                       kPlaceFile,
                                       "place",
                                       target,
                                       format("{:o}", lost.entry.mode),
                                       format("{}:{}", lost.entry.uid, lost.entry.gid)};
      std::string content;
      if (const auto* file = std::get_if<codec::FileContent>(&lost.content)) {
        content = os::read_file(file->path);
      } else if (lost.entry.type == codec::FileType::Symlink) {
        argv = {"ln", "-s", lost.entry.link, target};
      } else if (lost.entry.type != codec::FileType::Regular) {
        throw Error(ErrorKind::Unsupported, "{} diverts `/{}` of {}, which is no file", packages_[winner].name(),
                    overlap.path, packages_[overlap.loser].name());
      }
      const launch::SandboxRun ran = sandbox_.run(argv, env(), "/", content);
      if (!ran.status.ok()) {
        Error error(ErrorKind::Invalid, "put `/{}` of {} to `{}`: {}", overlap.path, packages_[overlap.loser].name(),
                    printable(target), ran.status.text());
        add_output(error, ran.output);
        throw error;
      }
    }
  }

  /// Where `package` has diverted a path, by dpkg's own list: three lines each, from, to, package.
  [[nodiscard]] std::string diversion_of(const std::string& path, const std::string& package) const {
    const std::string text = os::read_file(sandbox_.host_path("/var/lib/dpkg/diversions"));
    const std::vector<std::string_view> lines = split(text, '\n');
    for (std::size_t i = 0; i + 2 < lines.size(); i += 3) {
      const bool here = lines[i] == "/" + path || "/usr" + std::string(lines[i]) == "/" + path;
      if (here && lines[i + 2] == package && lines[i + 1].starts_with('/')) {
        return std::string(lines[i + 1]);
      }
    }
    throw Error(ErrorKind::Conflict, "`/{}` is shipped by {} and another package, and its preinst does not divert it",
                path, package)
        .add_hint(format("leave {} or the other package out of `apt`", package));
  }

  void preseed() {
    const bool wanted =
        std::any_of(packages_.begin(), packages_.end(), [](const Unpacked& p) { return p.name() == "man-db"; });
    if (!wanted) {
      return;
    }
    const launch::SandboxRun ran = sandbox_.run({"debconf-set-selections"}, env(), "/", kPreseed);
    if (!ran.status.ok()) {
      Error error(ErrorKind::Invalid, "preseed man-db: {}", ran.status.text());
      add_output(error, ran.output);
      throw error;
    }
  }

  void hide_conffiles() {
    const launch::SandboxRun ran = sandbox_.run({"perl", "-e", kHideConffiles}, env());
    if (!ran.status.ok()) {
      Error error(ErrorKind::Invalid, "put the configuration files aside: {}", ran.status.text());
      add_output(error, ran.output);
      throw error;
    }
  }

  void recompile() {
    const auto has_python = [](const Unpacked& p) { return p.name() == "python3-minimal"; };
    if (std::none_of(packages_.begin(), packages_.end(), has_python)) {
      return;
    }
    const launch::SandboxRun ran = sandbox_.run({"python3", "-S", "-B", "-c", kRecompile}, env());
    if (!ran.status.ok()) {
      Error error(ErrorKind::Invalid, "compile the byte code anew: {}", ran.status.text());
      add_output(error, ran.output);
      throw error;
    }
  }

  void verify() {
    const std::string text = os::read_file(sandbox_.host_path("/var/lib/dpkg/status"));
    ControlReader reader(text, "var/lib/dpkg/status");
    Paragraph paragraph;
    std::size_t count = 0;
    std::vector<std::string> wrong;
    while (reader.next(paragraph)) {
      ++count;
      if (paragraph.get("Status") != "install ok installed" || paragraph.has("Triggers-Pending") ||
          paragraph.has("Triggers-Awaited")) {
        wrong.push_back(format("{} is `{}`", paragraph.get("Package"), paragraph.get("Status")));
      }
    }
    if (!wrong.empty() || count != packages_.size()) {
      Error error(ErrorKind::Invalid, "{} of {} packages are not fully configured",
                  wrong.size() + packages_.size() - count, packages_.size());
      for (std::string& line : wrong) {
        error.add_cause(std::move(line));
      }
      throw error;
    }
    const launch::SandboxRun audit = sandbox_.run({"dpkg", "--audit"}, env());
    if (!audit.status.ok() || !trim(audit.output).empty()) {
      Error error(ErrorKind::Invalid, "dpkg finds fault with the configured packages");
      add_output(error, audit.output);
      throw error;
    }
  }

  launch::Sandbox& sandbox_;
  std::span<const Unpacked> packages_;
  std::span<const Overlap> overlaps_;
  ConfigureOrder order_;
  std::vector<bool> pending_;  ///< gathered, not configured yet
  std::vector<std::string> names_;
  std::string dpkg_version_;
  std::size_t done_ = 0;
  Task& task_;
};

}  // namespace

std::vector<codec::LayerItem> configure(launch::Sandbox& sandbox, std::span<const Unpacked> packages,
                                        std::span<const Overlap> overlaps, const std::string& release, Events& events) {
  return with_context([&] { return format("configure the {} packages", release); },
                      [&] {
                        Task task(events, "Configuring", counted(packages.size(), "Debian package"));
                        Configuration(sandbox, packages, overlaps, task).run();
                        std::vector<codec::LayerItem> items = normalised(sandbox.capture(), packages);
                        task.succeed();
                        return items;
                      });
}

}  // namespace slip::deb
