#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "codec/layer.h"
#include "config/config.h"
#include "core/digest.h"
#include "core/events.h"
#include "http/client.h"
#include "launch/sandbox.h"
#include "store/store.h"

/// The Debian ecosystem: what the rings above see of it. Details stand in the room's other headers.
namespace slip::deb {

/// One suite of an archive: "bullseye-security main" from alias "debian-security".
struct Suite {
  std::string alias;                    ///< source alias
  std::string name;                     ///< directory under dists/
  std::vector<std::string> components;  ///< "main", …
};
/// main, updates and security of a release ("bullseye", "bookworm", "trixie"), each with the component main and those
/// of `more`. @throws Error NotFound (suggests)
std::vector<Suite> suites_of(const std::string& release, const std::set<std::string>& more = {});
/// What every image of this release starts from, besides Essential: package names ("python3.9", "ca-certificates", …).
std::vector<std::string> base_requests(const std::string& release, bool with_python);

/// A package as the archive offers it.
struct Candidate {
  std::string name, version, arch;
  std::string alias;  ///< source alias it comes from
  std::string path;   ///< pool path
  std::uint64_t size = 0;
  Digest sha256;
  std::string why;  ///< filled by solve(): "base", "apt", "needed by NAME"
};

struct Solution {
  std::vector<Candidate> packages;  ///< sorted by name
  std::string snapshot;             ///< newest Date of the Release files, RFC 3339 UTC
  std::int64_t epoch = 0;
  std::vector<std::string> notes;  ///< "bullseye gets no fixes since 2026-…" and the like
};

/// A request of the user: name, or name=version.
struct Request {
  std::string name;
  std::string version;             ///< empty: newest
  std::string place;               ///< "slipway.yaml:7:8", for messages
  std::string component = "main";  ///< where it lies; what it depends on may lie in any component that is asked for
};

/// Downloads and verifies the suites' indexes (gpgv, Debian's archive keyring; Packages by hash; cached in the
/// store by digest) and solves base + Essential + requests without Recommends.
/// @throws Error NotFound (unknown name, with suggestion), Conflict (explanation as causes), Denied (signature),
/// Unavailable
Solution solve(const std::string& release, const std::vector<Request>& requests, bool with_python,
               const config::Config& config, http::Client& client, store::Store& store, Events& events);

/// A .deb unpacked: files on disk plus what the disk cannot hold (owners, modes, times).
struct Unpacked {
  std::filesystem::path folder;                ///< tree in the store; files under folder/root
  std::vector<codec::LayerItem> items;         ///< paths as shipped, mapped by the release's usr-merge; sorted
  std::map<std::string, std::string> control;  ///< control file's fields
  std::string control_text;                    ///< the control file as it is, without blank lines at its end
  std::vector<std::pair<std::string, std::string>> control_files;  ///< name → content: postinst, triggers, conffiles, …
  std::vector<std::string> shipped;  ///< absolute paths in archive order, not mapped: the lines of info/NAME.list
  std::vector<std::pair<std::string, std::string>>
      conffiles;  ///< absolute path as declared → MD5 in hex, or dpkg's words for one that is not shipped

  [[nodiscard]] const std::string& name() const { return control.at("Package"); }
  /// A field of the control file, "" when it is absent.
  [[nodiscard]] const std::string& field(const std::string& key) const;
  /// A file of control.tar, nullptr when it is absent.
  [[nodiscard]] const std::string* control_file(std::string_view key) const;
};
/// Unpacks (once, cached as tree "deb-HEX…") and reads back. setuid and setgid bits of regular files are dropped:
/// nothing in an image of ours gains rights by being started. Only regular files come to lie on the disk; links,
/// folders and devices are items alone, so nothing a package ships can lead a write astray.
/// @param owner  host id that the files get when slipway is root (see launch::host_id)
/// @throws Error Invalid (no package, or one that breaks a limit), NoSpace
Unpacked unpack(const std::filesystem::path& deb_file, const Digest& sha256, const std::string& release,
                store::Store& store, const launch::HostId& owner);

/// Folders and links that a release's root has before the first package (usr-merge links; /proc, /sys, …).
std::vector<codec::LayerItem> skeleton(const std::string& release);

/// A path that two packages ship, and how they themselves settle whose it is.
struct Overlap {
  std::string path;        ///< as in items: no leading "/"
  std::size_t winner = 0;  ///< the package whose file stays there; index into the set
  std::size_t loser = 0;
  bool diverted = false;  ///< the loser's file lives on, where the winner's diversion (its preinst) moves it
  codec::LayerItem lost;  ///< the loser's item
};
/// Settles the paths that are shipped twice as dpkg does: who replaces or diverts the other's file wins. The other's
/// item leaves its `items`; replaced, it leaves its list and configuration files too. Of any subset the outcome is the
/// same, so layers may be made one by one.
/// @throws Error Conflict naming path and packages when neither package says so
std::vector<Overlap> settle_overlaps(std::span<Unpacked> packages);

/// The files of the dpkg database for packages that are unpacked but not configured (var/lib/dpkg/…).
std::vector<codec::LayerItem> dpkg_database(std::span<const Unpacked> packages);

/// Runs preinst, configure and triggers in the sandbox, in the order of configure_order() (deb/order.h), and
/// returns the normalised changes as one layer's items (whiteouts as ".wh." entries).
/// `sandbox` must stand on skeleton + packages + dpkg_database, and `overlaps` be what settle_overlaps() found.
/// @throws Error Invalid "package P: its postinst exited N" with the last lines as causes
std::vector<codec::LayerItem> configure(launch::Sandbox& sandbox, std::span<const Unpacked> packages,
                                        std::span<const Overlap> overlaps, const std::string& release, Events& events);

}  // namespace slip::deb
