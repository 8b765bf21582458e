#include "serving/tfs/rest_path.h"

#include <algorithm>
#include <charconv>

#include "core/text.h"
#include "serving/http/http.h"

namespace slip::serving {
namespace {

/// Takes `prefix` (lower case) off the front, whatever the case of `text`.
bool take(std::string_view& text, std::string_view prefix) {
  if (text.size() < prefix.size() || to_lower(text.substr(0, prefix.size())) != prefix) {
    return false;
  }
  text.remove_prefix(prefix.size());
  return true;
}

/// Takes one segment that holds neither '/' nor ':'; false when it is empty.
bool take_segment(std::string_view& text, std::string_view& segment) {
  segment = text.substr(0, text.find_first_of("/:"));
  text.remove_prefix(segment.size());
  return !segment.empty();
}

bool take_action(std::string_view& rest, bool post, RestPath& out) {
  using Action = RestPath::Action;
  if (!post) {
    out.action = take(rest, "/metadata") ? Action::Metadata : Action::Status;
    return rest.empty();
  }
  for (const auto& [name, action] : {std::pair{":predict", Action::Predict}, std::pair{":classify", Action::Classify},
                                     std::pair{":regress", Action::Regress}}) {
    if (take(rest, name)) {
      out.action = action;
      return rest.empty();
    }
  }
  return false;
}

}  // namespace

Result<RestPath> read_rest_path(std::string_view method, std::string_view path) {
  const auto malformed = [&] { return invalid("Malformed request: " + std::string(method) + " " + std::string(path)); };
  const bool post = method == "POST";
  RestPath out;
  std::string_view rest = path;
  if ((!post && method != "GET") || !take(rest, "/v1/models")) {
    return malformed();
  }
  if (rest.empty() && !post) {
    return out;
  }
  std::string_view name;
  if (!take(rest, "/") || !take_segment(rest, name)) {
    return malformed();
  }
  out.spec.name = percent_decode(name);
  std::string_view segment;
  if (take(rest, "/versions/")) {
    std::int64_t number = 0;
    if (!take_segment(rest, segment) || !std::ranges::all_of(segment, [](char c) { return c >= '0' && c <= '9'; })) {
      return malformed();
    }
    if (std::from_chars(segment.data(), segment.data() + segment.size(), number).ec != std::errc{}) {
      return invalid("Failed to convert version: " + std::string(segment) + " to numeric.");
    }
    out.spec.version = number;
  } else if (take(rest, "/labels/")) {
    if (!take_segment(rest, segment)) {
      return malformed();
    }
    out.spec.label = percent_decode(segment);
  }
  return take_action(rest, post, out) ? Result<RestPath>(std::move(out)) : Result<RestPath>(malformed());
}

}  // namespace slip::serving
