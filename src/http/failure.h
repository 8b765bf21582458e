#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/error.h"
#include "http/engine.h"

namespace slip::http {

/// Why a try gave no usable answer.
struct Failure {
  Error error;         ///< the cause only ("connection refused by `h:80`"), with hints; callers add URL and purpose
  bool again = false;  ///< the same URL may do better a little later
  std::optional<Millis> retry_after;
};

/// For an outcome with a curl_code.
/// @param done  body bytes that are safe so far, over all tries
/// @param want  how many there should be in the end, when known
Failure transport_failure(const Options& options, const Outcome& outcome, std::uint64_t done,
                          std::optional<std::uint64_t> want);
/// For a status that is no success.
/// @param advise  with hints that suit package sources
Failure status_failure(int status, const Head& head, bool advise = true);
/// "got 5 of 10 bytes", "got 5 bytes".
std::string got_text(std::uint64_t done, std::optional<std::uint64_t> want);
/// "`URL`", with where it was redirected to.
std::string place_of(const Outcome& outcome);

}  // namespace slip::http
