#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/finding.h"
#include "inspect/packages.h"
#include "inspect/subject.h"
#include "lock/context.h"

/// Which Debian packages of an image have fixed versions by now, from Debian's own signed indexes and the changelogs of
/// the fixed packages. What no Debian package fixes yet cannot be known from them, and the report says so.
namespace slip::inspect {

struct Outdated {
  std::string package;
  std::string version;            ///< in the image
  std::string fixed;              ///< newest in the suites
  std::string suite;              ///< alias that offers it: "debian-security", "debian"
  std::vector<std::string> cves;  ///< named by its changelog since `version`; sorted
  bool changelog_read = false;    ///< false: `cves` is empty because nobody could look
};

/// A package whose security support is less than the release's.
struct Support {
  std::string package;  ///< source package
  bool ended = false;   ///< false: limited
  std::string details;
  bool uncovered = false;  ///< it lies outside of main, which is all that the security team covers
};

struct FixReport {
  std::string release;             ///< "bookworm"; empty: no Debian release that we know
  std::string dated;               ///< RFC 3339 date of the newest Release file; empty: there is no data
  std::string reason;              ///< why there is no data
  std::string fixes_until;         ///< "2028-06-30": last day of the release's security fixes
  bool ended = false;              ///< that day is over
  std::vector<Outdated> outdated;  ///< sorted by package
  std::vector<Support> support;
  std::size_t looked_at = 0;  ///< Debian packages of the image
};

/// Fetches the indexes of the image's release, or with `context.offline` takes those that an earlier call fetched.
/// Nothing that cannot be had is an error: the report says what is missing.
/// @param now  seconds since 1970
FixReport find_fixes(const std::vector<Package>& packages, const std::string& release, std::int64_t now,
                     lock::Context& context);

/// The Debian release of an image: its lock's, or what /etc/os-release says. Empty: unknown.
std::string release_of(const Subject& subject, const Tree& tree);

/// C4.4, EOL and DSS of the list. @param python  version that the spec asks for; empty: none
std::vector<Finding> judge_fixes(const FixReport& report, const std::string& python);

}  // namespace slip::inspect
