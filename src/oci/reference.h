#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/digest.h"

namespace slip::oci {

/// The name of an image: [registry/]repository[:tag][@digest].
///
/// A first component is a registry when it holds "." or ":", is "localhost", has an upper-case letter or is an
/// IPv6 address in brackets, and something follows it; without one the name is local and `registry` empty: no
/// registry is ever assumed. parse(text()) is the value again.
/// @source distribution/reference grammar (regexp.go of the Go package `reference`); OCI distribution-spec 1.1 "Pulling
/// manifests"
struct Reference {
  std::string registry;    ///< "localhost:5000"; empty: a local name
  std::string repository;  ///< "team/tf29-dev"; registry and repository together at most 255 bytes
  std::string tag;         ///< empty only when there is a digest
  std::optional<Digest> digest;

  /// Fills in the tag "latest" when neither tag nor digest is given.
  /// @throws Error Invalid with what is wrong and a hint; Unsupported for a digest that is not SHA-256
  static Reference parse(std::string_view text);

  /// Registry and repository.
  [[nodiscard]] std::string name() const { return registry.empty() ? repository : registry + "/" + repository; }
  [[nodiscard]] std::string text() const;
  bool operator==(const Reference&) const = default;
};

/// True for [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}.
bool is_tag(std::string_view text) noexcept;

}  // namespace slip::oci
