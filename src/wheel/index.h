#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "core/digest.h"
#include "http/client.h"

namespace slip::wheel {

/// One file that a simple index offers.
struct IndexFile {
  std::string file;
  std::string url;  ///< absolute
  std::optional<Digest> sha256;
  std::optional<std::uint64_t> size;
  std::string requires_python;  ///< ">=3.7"; empty: not said
  std::string upload_time;      ///< RFC 3339; empty: not said
  bool yanked = false;
};

/// Reads a project's page, JSON or HTML. `page_url` makes relative links absolute.
/// @throws Error Invalid naming the page
/// @source PEP 503, PEP 592, PEP 691, PEP 700
std::vector<IndexFile> parse_index_page(std::string_view body, bool json, const std::string& page_url);

/// Pages of several projects (normalised names) at once; a project that the index does not know has no entry.
/// @throws Error Unavailable, Denied
std::map<std::string, std::vector<IndexFile>> fetch_index(const std::vector<std::string>& projects,
                                                          const std::string& alias, const config::Config& config,
                                                          http::Client& client);

/// `link` as seen from `base`. @source RFC 3986 5.2, as far as indexes need it
std::string absolute_url(const std::string& base, const std::string& link);

}  // namespace slip::wheel
