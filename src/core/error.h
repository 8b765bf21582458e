#pragma once

#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/format.h"

namespace slip {

/// What a caller may branch on. Add a value only when some caller handles it.
enum class ErrorKind : std::uint8_t {
  Usage,        ///< the command line is wrong (exit 2)
  NotFound,     ///< a file, package, version, image or blob does not exist
  Invalid,      ///< the user's input or foreign bytes are malformed
  Denied,       ///< permission, authentication
  Unsupported,  ///< this kernel, machine or format cannot do it
  Unavailable,  ///< a server or the network did not answer
  Conflict,     ///< the request contradicts itself or what is there
  Corrupt,      ///< bytes differ from their digest
  NoSpace,      ///< a disk or a quota is full
  Internal,     ///< a promise of our own code was broken (exit 2)
};

/// The name scripts see as `kind` in a `--json` error record: "invalid", "not-found", …
std::string_view name_of(ErrorKind kind) noexcept;

/// A failure on its way to the person who reads it.
///
/// The chain runs from what was attempted (outermost) to what went wrong (innermost); hints say what to do
/// next and travel along. Text rules: lower case, no full stop, no "failed to", foreign text in backquotes,
/// errno as `No such file or directory (ENOENT)`. Only bin/ prints.
class Error : public std::exception {
 public:
  template <class... A>
  Error(ErrorKind kind, Fmt<A...> text, A&&... a) : kind_(kind), chain_{format(text, std::forward<A>(a)...)} {}

  /// Adds the next outer frame: what was being attempted when this happened.
  Error& add_context(std::string attempted) {
    chain_.insert(chain_.begin(), std::move(attempted));
    return *this;
  }
  /// Adds an inner cause below all frames there are.
  Error& add_cause(std::string cause) {
    chain_.push_back(std::move(cause));
    return *this;
  }
  /// One action the reader can take; repeated hints are kept once.
  Error& add_hint(std::string hint);

  /// What the program ends with because of it, where its kind does not say so: 127 for a command that is not there.
  Error& set_exit_status(int status) {
    exit_status_ = status;
    return *this;
  }

  [[nodiscard]] std::optional<int> exit_status() const noexcept { return exit_status_; }
  [[nodiscard]] ErrorKind kind() const noexcept { return kind_; }
  /// Outermost first; never empty.
  [[nodiscard]] const std::vector<std::string>& chain() const noexcept { return chain_; }
  [[nodiscard]] const std::vector<std::string>& hints() const noexcept { return hints_; }
  /// The outermost frame only; people get the whole chain from bin/.
  [[nodiscard]] const char* what() const noexcept override { return chain_.front().c_str(); }
  /// The whole chain in one line, joined by ": ".
  [[nodiscard]] std::string joined() const;

 private:
  ErrorKind kind_;
  std::vector<std::string> chain_;
  std::vector<std::string> hints_;
  std::optional<int> exit_status_;
};

/// Runs body(); a slip::Error that leaves it gains the frame that describe() builds (only then).
template <class Describe, class Body>
decltype(auto) with_context(Describe&& describe, Body&& body) {
  try {
    return std::forward<Body>(body)();
  } catch (Error& e) {
    e.add_context(describe());
    throw;
  }
}

/// "No such file or directory (ENOENT)".
std::string errno_text(int err);

/// Aborts with place and text: a broken promise inside slipway, never a user's mistake.
[[noreturn]] void check_failed(const char* file, int line, const char* what) noexcept;
#define SLIP_CHECK(cond) ((cond) ? void(0) : ::slip::check_failed(__FILE__, __LINE__, #cond))

}  // namespace slip
