#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "codec/tar.h"
#include "core/bytes.h"
#include "lock/context.h"
#include "lock/lock.h"
#include "oci/layout.h"
#include "oci/types.h"
#include "spec/spec.h"

namespace slip::inspect {

class Rebuild;

/// The layout of "oci:DIR[:TAG]" and its kin; nullopt when the text is no such thing.
std::optional<oci::Output> as_file(const std::string& text);

/// What the label of a model image says of it.
struct ServedModel {
  std::string name;
  std::vector<std::string> versions;
  Digest serve;       ///< of slipway-serve before it was stripped
  std::string label;  ///< JSON
};

/// An image that is looked at, wherever it lies, whoever made it.
class Subject {
 public:
  /// Called for every entry of a layer in its order; the content (of regular files only) need not be read.
  using Each = std::function<void(const codec::TarEntry& entry, Source& content)>;

  /// @param text  a name of the store ("tf29-dev", "host/team/x:tag", with or without "@sha256:…"), or
  ///              "oci:DIR[:TAG]", "oci-archive:FILE", "docker-archive:FILE"
  /// @throws Error NotFound with the nearest name; Invalid, Corrupt
  static Subject open(const std::string& text, lock::Context& context);
  Subject(Subject&&) noexcept;
  Subject& operator=(Subject&&) noexcept;
  Subject(const Subject&) = delete;
  Subject& operator=(const Subject&) = delete;
  ~Subject();

  [[nodiscard]] const std::string& name() const noexcept;
  [[nodiscard]] const Digest& digest() const noexcept;  ///< of the manifest
  [[nodiscard]] const std::string& manifest_text() const noexcept;
  [[nodiscard]] const std::string& config_text() const noexcept;
  [[nodiscard]] const oci::Manifest& manifest() const noexcept;
  [[nodiscard]] const oci::ImageConfig& config() const noexcept;
  /// What it was made from, when slipway made it: the label's spec, and the lock that it carries. The lock's digest is
  /// the label's. Absent in other images.
  [[nodiscard]] const std::optional<spec::Spec>& spec() const noexcept;
  [[nodiscard]] const std::optional<lock::Lock>& lock() const noexcept;

  /// Absent in images that are no model images.
  [[nodiscard]] const std::optional<ServedModel>& model() const noexcept;
  /// The spec's name or the model's; "image" of other tools' images.
  [[nodiscard]] std::string title() const;

  [[nodiscard]] std::size_t layers() const noexcept { return manifest().layers.size(); }
  /// "base", "wheels-3", "files": as slipway calls it; "layer 3" (from 1) in other images.
  [[nodiscard]] const std::string& layer_name(std::size_t layer) const;
  /// The layer called so; nullopt when there is none.
  [[nodiscard]] std::optional<std::size_t> find_layer(const std::string& name) const;
  /// "debs", "wheels", "files": the kind of its recipe; empty in other images.
  [[nodiscard]] const std::string& layer_kind(std::size_t layer) const;

  /// Reads one layer, from its blob or, where that was never kept, out of what it is made of.
  /// @throws Error NotFound when its bytes are nowhere; Corrupt
  void read_layer(std::size_t layer, const Each& each) const;
  /// Where the compressed bytes of a layer lie; empty: nowhere.
  [[nodiscard]] std::filesystem::path blob_file(std::size_t layer) const;

 private:
  struct State;
  explicit Subject(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Reads the entries of a compressed layer. `name` stands in messages.
void read_tar(Source& compressed, const std::string& name, const Subject::Each& each);

}  // namespace slip::inspect
