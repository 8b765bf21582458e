#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace slip::registry {

/// One way to authenticate that a server offers.
struct Challenge {
  std::string scheme;                         ///< lower case: "bearer", "basic"
  std::map<std::string, std::string> params;  ///< names in lower case
  bool operator==(const Challenge&) const = default;
};

/// The challenges of a WWW-Authenticate field, several fields joined by ", ". What is malformed ends the list; at most
/// 16 challenges of 32 parameters.
/// @source RFC 9110 section 11.6.1, 11.2
std::vector<Challenge> parse_challenges(std::string_view field);

}  // namespace slip::registry
