#pragma once

#include <string>
#include <utility>
#include <vector>

namespace slip {

/// One thing that was looked at, by `audit` or `doctor`: what is, and what should be.
struct Finding {
  std::string id;     ///< "C4.8", "JS2", "kernel": stable, for scripts
  std::string title;  ///< what holds when it is fine: "no setuid or setgid files"
  bool ok = false;
  std::string found;   ///< what is there, for people
  std::string wanted;  ///< what should be there
  std::string hint;    ///< one action for the reader; empty when it is fine
  /// Why it may be as it is although it is not as wanted; `ok` is true then. Empty: no exception was needed.
  std::string exception;
};

/// A finding that is as wanted.
inline Finding fine(std::string id, std::string title, std::string found) {
  return {std::move(id), std::move(title), true, std::move(found), {}, {}, {}};
}
/// One that is not.
inline Finding amiss(std::string id, std::string title, std::string found, std::string wanted, std::string hint) {
  return {std::move(id), std::move(title), false, std::move(found), std::move(wanted), std::move(hint), {}};
}
/// One that is not as wanted and may be so, for the reason given.
inline Finding excepted(std::string id, std::string title, std::string found, std::string wanted, std::string why) {
  return {std::move(id), std::move(title), true, std::move(found), std::move(wanted), {}, std::move(why)};
}

/// True when nothing fails.
inline bool all_ok(const std::vector<Finding>& findings) {
  for (const Finding& f : findings) {
    if (!f.ok) {
      return false;
    }
  }
  return true;
}

}  // namespace slip
