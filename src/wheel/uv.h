#pragma once

#include <string>
#include <vector>

#include "wheel/wheel.h"

namespace slip::wheel {

/// What uv is asked for.
struct CompileRequest {
  std::vector<std::string> requirements;  ///< PEP 508 lines
  std::vector<std::string> constraints;
  std::vector<std::string> excludes;     ///< names that must not come
  std::vector<std::string> preferences;  ///< "numpy==1.26.4"
  std::string exclude_newer;             ///< RFC 3339
  std::string alias;
};

/// One line of its answer.
struct Pin {
  std::string name;  ///< normalised
  std::string version;
  std::vector<std::string> via;  ///< who needs it, normalised; empty: asked for directly
};

struct CompileAnswer {
  bool solved = false;
  std::vector<Pin> pins;    ///< sorted by name
  std::string explanation;  ///< uv's own words when not solved
};

/// Runs uv inside the sandbox over the target's root: what an sdist's metadata code does stays in there, and the
/// host needs no Python. It reaches the index through the host's network, with the configured CA and proxies.
class Uv {
 public:
  Uv(const Target& target, const config::Config& config, http::Client& client, store::Store& store,
     const launch::HostId& id, Events& events);
  /// uv's own wheel, pinned by this release of slipway.
  [[nodiscard]] const File& wheel() const noexcept { return wheel_; }
  /// @throws Error Unavailable when the index cannot be reached; Internal for an answer that makes no sense
  CompileAnswer compile(const CompileRequest& request);

 private:
  void fetch(const std::string& alias);
  const Target& target_;
  const config::Config& config_;
  http::Client& client_;
  store::Store& store_;
  launch::HostId id_;
  Events& events_;
  File wheel_;
  std::filesystem::path program_;
};

/// Reads uv's annotated requirements text. @throws Error Internal
std::vector<Pin> parse_pins(std::string_view text);

}  // namespace slip::wheel
