#include "verbs.h"

#include <array>
#include <utility>

#include "core/text.h"

namespace slip::cli {

std::string_view past_of(std::string_view participle) noexcept {
  constexpr std::array kVerbs = {
      std::pair{"Building", "Built"},         std::pair{"Checking", "Checked"},
      std::pair{"Compiling", "Compiled"},     std::pair{"Configuring", "Configured"},
      std::pair{"Downloading", "Downloaded"}, std::pair{"Encoding", "Encoded"},
      std::pair{"Importing", "Imported"},     std::pair{"Linking", "Linked"},
      std::pair{"Locking", "Locked"},         std::pair{"Packing", "Packed"},
      std::pair{"Pulling", "Pulled"},         std::pair{"Pushing", "Pushed"},
      std::pair{"Reading", "Read"},           std::pair{"Removing", "Removed"},
      std::pair{"Resolving", "Resolved"},     std::pair{"Running", "Ran"},
      std::pair{"Solving", "Solved"},         std::pair{"Starting", "Started"},
      std::pair{"Stopping", "Stopped"},       std::pair{"Unpacking", "Unpacked"},
      std::pair{"Verifying", "Verified"},     std::pair{"Writing", "Wrote"},
  };
  for (const auto& [now, past] : kVerbs) {
    if (participle == now) {
      return past;
    }
  }
  return participle;
}

std::string lowered(std::string_view verb) { return to_lower(verb); }

}  // namespace slip::cli
