#include "oci/validate.h"

#include <unordered_map>

#include "codec/compress.h"
#include "codec/sha256.h"
#include "codec/tar.h"
#include "core/error.h"
#include "core/text.h"
#include "oci/media_types.h"
#include "os/file.h"

namespace slip::oci {
namespace {

using codec::FileType;
using codec::TarEntry;

constexpr std::size_t kMaxProblems = 100;

struct TooMany {};

class Problems {
 public:
  template <class... A>
  void add(std::string place, Fmt<A...> text, A&&... a) {
    all.push_back({std::move(place), format(text, std::forward<A>(a)...)});
    if (all.size() >= kMaxProblems) {
      throw TooMany();
    }
  }
  std::vector<Problem> all;
};

/// Hashes what the reader behind it takes.
class HashingSource final : public Source {
 public:
  explicit HashingSource(Source& from) : from_(from) {}
  std::size_t read(std::span<std::uint8_t> into) override {
    const std::size_t n = from_.read(into);
    hash_.update(into.first(n));
    size_ += n;
    return n;
  }
  /// Reads what is left and gives the digest of all.
  Digest finish() {
    std::vector<std::uint8_t> rest(64u << 10);
    while (read(rest) > 0) {
    }
    return hash_.finish();
  }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

 private:
  Source& from_;
  codec::Sha256 hash_;
  std::uint64_t size_ = 0;
};

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

/// The paths of an image so far, layer by layer.
class LayerRules {
 public:
  LayerRules(Problems& problems, Rules rules) : problems_(problems), rules_(rules) {}

  void begin(std::size_t number) {
    ++layer_;
    place_ = format("layer {}", number);
    previous_.clear();
  }

  void check(const TarEntry& entry) {
    const std::string at = place_ + ": " + printable(entry.path);
    const std::string stored = entry.type == FileType::Directory ? entry.path + "/" : entry.path;
    if (rules_ == Rules::Ours) {
      if (stored <= previous_) {
        problems_.add(at, "not sorted: it follows `{}`", printable(previous_));
      }
      previous_ = stored;
      if (entry.mtime < 0) {
        problems_.add(at, "its time {} lies before 1970", entry.mtime);
      }
    }
    check_parent(entry, at);
    const std::string parent = parent_of(entry.path);
    const std::string leaf = entry.path.substr(parent.empty() ? 0 : parent.size() + 1);
    if (leaf.starts_with(".wh.")) {
      whiteout(entry, parent, leaf.substr(4), at);
      return;
    }
    if (entry.type == FileType::HardLink) {
      const auto target = paths_.find(entry.link);
      if (target == paths_.end() || target->second.type != FileType::Regular) {
        problems_.add(at, "a hard link to `{}`, which is no file here", printable(entry.link));
      } else if (target->second.layer != layer_ && rules_ == Rules::Ours) {
        problems_.add(at, "a hard link to `{}` of a lower layer", printable(entry.link));
      }
    }
    const auto [known, is_new] = paths_.try_emplace(entry.path, Known{layer_, kind(entry)});
    if (!is_new) {
      if (known->second.layer == layer_) {
        problems_.add(at, "stands twice in the layer");
      }
      known->second = {layer_, kind(entry)};
    }
  }

 private:
  struct Known {
    std::size_t layer;
    FileType type;
  };

  static FileType kind(const TarEntry& entry) {
    return entry.type == FileType::HardLink ? FileType::Regular : entry.type;
  }

  void check_parent(const TarEntry& entry, const std::string& at) {
    const std::string parent = parent_of(entry.path);
    if (parent.empty()) {
      return;
    }
    const auto found = paths_.find(parent);
    if (found == paths_.end()) {
      if (rules_ == Rules::Ours) {
        problems_.add(at, "its parent is neither in this layer nor in a lower one");
      }
    } else if (found->second.type != FileType::Directory) {
      problems_.add(at, "its parent is no folder");
    }
  }

  void whiteout(const TarEntry& entry, const std::string& parent, const std::string& hidden, const std::string& at) {
    if (entry.type != FileType::Regular || entry.size != 0) {
      problems_.add(at, "a whiteout must be an empty file");
    }
    const std::string prefix = parent.empty() ? "" : parent + "/";
    if (hidden == ".wh..opq") {
      hide_below(prefix);
      return;
    }
    const auto found = paths_.find(prefix + hidden);
    if (hidden.empty() || found == paths_.end() || found->second.layer == layer_) {
      if (rules_ == Rules::Ours) {
        problems_.add(at, "a whiteout of what no lower layer has");
      }
      return;
    }
    paths_.erase(found);
    hide_below(prefix + hidden + "/");
  }

  /// Lower layers' paths only: what this layer itself brings stays.
  void hide_below(const std::string& prefix) {
    std::erase_if(paths_,
                  [&](const auto& path) { return path.second.layer != layer_ && path.first.starts_with(prefix); });
  }

  Problems& problems_;
  Rules rules_;
  std::size_t layer_ = 0;
  std::string place_;
  std::string previous_;
  std::unordered_map<std::string, Known> paths_;
};

/// Size and digest of a blob; false when it cannot be read on.
bool check_blob(const Layout& layout, const Descriptor& descriptor, const std::string& place, Problems& problems) {
  try {
    const fs::path path = layout.blob_path(descriptor.digest);
    const os::Fd fd = os::open_read(path);
    const std::uint64_t size = os::file_size(fd, path.string());
    if (size != descriptor.size) {
      problems.add(place, "the blob has {} bytes, its descriptor says {}", size, descriptor.size);
    }
    os::FdSource in(fd.get(), path.string());
    codec::HashSink hash;
    copy_all(in, hash);
    if (const Digest found = hash.finish(); found != descriptor.digest) {
      problems.add(place, "the blob has digest {}, its descriptor says {}", found.text(), descriptor.digest.text());
      return false;
    }
    return true;
  } catch (const Error& e) {
    problems.add(place, "{}", e.joined());
    return false;
  }
}

void check_layer(const fs::path& path, const Digest* diff_id, const std::string& place, LayerRules& rules,
                 Problems& problems) {
  try {
    const os::Fd fd = os::open_read(path);
    os::FdSource raw(fd.get(), path.string());
    const auto plain = codec::open_compressed(raw, place);
    HashingSource hashed(*plain);
    {
      codec::TarReader tar(hashed);
      while (const auto entry = tar.next()) {
        rules.check(*entry);
      }
    }
    if (const Digest found = hashed.finish(); diff_id != nullptr && found != *diff_id) {
      problems.add(place, "its tar has digest {}, the config's diff_id is {}", found.text(), diff_id->text());
    }
    if (hashed.size() % 512 != 0) {
      problems.add(place, "its tar has {} bytes, no multiple of 512", hashed.size());
    }
  } catch (const Error& e) {
    problems.add(place, "{}", e.joined());
  }
}

void check_config(const ImageConfig& config, const Manifest& manifest, Problems& problems) {
  if (config.diff_ids.size() != manifest.layers.size()) {
    problems.add("config", "{} diff_ids for {} layers", config.diff_ids.size(), manifest.layers.size());
  }
  std::size_t with_layer = 0;
  for (const History& entry : config.history) {
    with_layer += entry.empty_layer ? 0 : 1;
  }
  if (!config.history.empty() && with_layer != manifest.layers.size()) {
    problems.add("config", "its history tells of {} layers, there are {}", with_layer, manifest.layers.size());
  }
  std::set<std::string> names;
  for (const std::string& variable : config.env) {
    const std::string name = variable.substr(0, variable.find('='));
    if (name.empty() || name.size() == variable.size()) {
      problems.add("config", "the environment entry `{}` is not NAME=VALUE", printable(variable));
    } else if (!names.insert(name).second) {
      problems.add("config", "the environment sets `{}` twice", printable(name));
    }
  }
  if (!config.working_dir.empty() && !config.working_dir.starts_with('/')) {
    problems.add("config", "the working directory `{}` is not absolute", printable(config.working_dir));
  }
}

void check_image(const Layout& layout, const Descriptor& descriptor, Rules rules, Problems& problems) {
  if (!check_blob(layout, descriptor, "manifest", problems)) {
    return;
  }
  const std::string manifest_json = layout.read(descriptor);
  const Manifest manifest = parse_manifest(manifest_json);
  const bool canonical = rules == Rules::Ours;
  if (canonical && to_json(manifest) != manifest_json) {
    problems.add("manifest", "not in canonical form");
  }
  if (!manifest.media_type.empty() && manifest.media_type != descriptor.media_type) {
    problems.add("manifest", "its type `{}` is not its descriptor's `{}`", printable(manifest.media_type),
                 printable(descriptor.media_type));
  }
  if (!media::is_config(manifest.config.media_type)) {
    problems.add("manifest", "its config has type `{}`", printable(manifest.config.media_type));
  }
  ImageConfig config;
  if (check_blob(layout, manifest.config, "config", problems)) {
    const std::string config_json = layout.read(manifest.config);
    config = parse_image_config(config_json);
    check_config(config, manifest, problems);
    if (canonical && to_json(config) != config_json) {
      problems.add("config", "not in canonical form");
    }
    if (descriptor.platform && descriptor.platform != config.platform) {
      problems.add("config", "it is for {}/{}, the index says {}/{}", config.platform.os, config.platform.architecture,
                   descriptor.platform->os, descriptor.platform->architecture);
    }
  }
  LayerRules layer_rules(problems, rules);
  for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
    const Descriptor& layer = manifest.layers[i];
    const std::string place = format("layer {}", i + 1);
    layer_rules.begin(i + 1);
    if (media::packing_of(layer.media_type) == media::Packing::Unknown) {
      problems.add(place, "its type `{}` is not known", printable(layer.media_type));
    }
    if (check_blob(layout, layer, place, problems)) {
      check_layer(layout.blob_path(layer.digest), i < config.diff_ids.size() ? &config.diff_ids[i] : nullptr, place,
                  layer_rules, problems);
    }
  }
}

}  // namespace

std::vector<Problem> validate(const Layout& layout, const Descriptor& manifest, Rules rules) {
  Problems problems;
  try {
    check_image(layout, manifest, rules, problems);
  } catch (const TooMany&) {
    // The list is long enough.
  } catch (const Error& e) {
    problems.all.push_back({"image", e.joined()});
  }
  return std::move(problems.all);
}

}  // namespace slip::oci
