#include "verbs.h"

#include <algorithm>
#include <iterator>

#include "core/text.h"

namespace slip::cli {
namespace {

struct Verb {
  std::string_view now;
  std::string_view past;
  bool told = false;
};

constexpr Verb kVerbs[] = {
    {"Building", "Built"},         {"Checking", "Checked"},
    {"Compiling", "Compiled"},     {"Configuring", "Configured"},
    {"Downloading", "Downloaded"}, {"Encoding", "Encoded"},
    {"Importing", "Imported"},     {"Linking", "Linked"},
    {"Locking", "Locked"},         {"Packing", "Packed"},
    {"Pulling", "Pulled", true},   {"Pushing", "Pushed", true},
    {"Reading", "Read"},           {"Removing", "Removed"},
    {"Resolving", "Resolved"},     {"Running", "Ran"},
    {"Solving", "Solved"},         {"Starting", "Started", true},
    {"Stopping", "Stopped", true}, {"Unpacking", "Unpacked"},
    {"Verifying", "Verified"},     {"Writing", "Wrote"},
};

const Verb* find(std::string_view participle) noexcept {
  const auto* const at = std::ranges::find(kVerbs, participle, &Verb::now);
  return at == std::end(kVerbs) ? nullptr : at;
}

}  // namespace

std::string_view past_of(std::string_view participle) noexcept {
  const Verb* const verb = find(participle);
  return verb == nullptr ? participle : verb->past;
}

bool is_told_by_command(std::string_view participle) noexcept {
  const Verb* const verb = find(participle);
  return verb != nullptr && verb->told;
}

std::string lowered(std::string_view verb) { return to_lower(verb); }

}  // namespace slip::cli
