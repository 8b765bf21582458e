#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "core/debian_release.h"
#include "core/digest.h"
#include "deb/deb.h"
#include "http/client.h"
#include "store/store.h"

namespace slip::deb {

/// What is known of a release before anything is fetched. @throws Error NotFound (suggests)
const DebianRelease& known_release(const std::string& release);

/// A Release file that was verified.
struct ReleaseFile {
  struct Entry {
    Digest sha256;
    std::uint64_t size = 0;
  };
  std::int64_t date = 0;                    ///< seconds since 1970
  std::optional<std::int64_t> valid_until;  ///< seconds since 1970; archived suites have none
  std::string codename;                     ///< "bookworm"
  bool by_hash = false;
  std::map<std::string, Entry, std::less<>> files;  ///< path below dists/SUITE → what it must be
};

/// Parses the cleartext of a Release file. @throws Error Invalid with line numbers
ReleaseFile parse_release(std::string_view text, const std::string& name);

/// "Sat, 09 Aug 2025 09:16:30 UTC" → seconds since 1970; nullopt when it is no such date.
std::optional<std::int64_t> parse_date(std::string_view text);

/// Checks the signature of an InRelease file against Debian's archive keyring and returns the signed text alone.
/// At least one signature must be good; the file must be one signed message with nothing around it.
/// @throws Error Denied; NotFound when gpgv or the keyring is missing (with the package to install)
std::string verified_cleartext(const std::string& inrelease, const std::string& name, const store::Store& store);

/// Fetches and verifies one suite's InRelease. `now`: seconds since 1970, against Valid-Until.
/// @throws Error Denied, NotFound, Unavailable, Invalid (expired)
ReleaseFile fetch_release(const Suite& suite, std::int64_t now, const config::Config& config, http::Client& client,
                          const store::Store& store);

/// The Packages text of one component, taken from the store or fetched by hash.
std::string fetch_packages(const Suite& suite, const std::string& component, const ReleaseFile& release,
                           const config::Config& config, http::Client& client, store::Store& store);

}  // namespace slip::deb
