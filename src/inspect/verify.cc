#include "inspect/verify.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "codec/sha256.h"
#include "core/count.h"
#include "core/text.h"
#include "image/build.h"
#include "inspect/rebuild.h"
#include "oci/layout.h"
#include "os/file.h"

namespace slip::inspect {
namespace {

namespace fs = std::filesystem;

std::string type_name(codec::FileType type) {
  switch (type) {
    case codec::FileType::Regular: return "file";
    case codec::FileType::HardLink: return "hard link";
    case codec::FileType::Symlink: return "link";
    case codec::FileType::Directory: return "folder";
    case codec::FileType::Fifo: return "pipe";
    case codec::FileType::CharDevice: return "character device";
    case codec::FileType::BlockDevice: return "block device";
  }
  return {};
}

std::optional<Difference> compare(const LayerEntry& a, const LayerEntry& b) {
  const auto differ = [&](const char* field, std::string expected, std::string actual) {
    return Difference{{}, a.entry.path, field, std::move(expected), std::move(actual)};
  };
  const codec::TarEntry& x = a.entry;
  const codec::TarEntry& y = b.entry;
  if (x.type != y.type) {
    return differ("type", type_name(x.type), type_name(y.type));
  }
  if (x.size != y.size) {
    return differ("size", std::to_string(x.size), std::to_string(y.size));
  }
  if (a.sha256 != b.sha256) {
    return differ("content", a.sha256.text(), b.sha256.text());
  }
  if (x.mode != y.mode) {
    return differ("mode", format("{:04o}", x.mode), format("{:04o}", y.mode));
  }
  if (x.uid != y.uid || x.gid != y.gid) {
    return differ("owner", format("{}:{}", x.uid, x.gid), format("{}:{}", y.uid, y.gid));
  }
  if (x.mtime != y.mtime) {
    return differ("mtime", std::to_string(x.mtime), std::to_string(y.mtime));
  }
  if (x.link != y.link) {
    return differ("link", x.link, y.link);
  }
  if (x.xattrs != y.xattrs) {
    return differ("xattrs", counted(x.xattrs.size(), "attribute"), counted(y.xattrs.size(), "attribute"));
  }
  if (x.dev_major != y.dev_major || x.dev_minor != y.dev_minor) {
    return differ("device", format("{}:{}", x.dev_major, x.dev_minor), format("{}:{}", y.dev_major, y.dev_minor));
  }
  return std::nullopt;
}

template <class Layered>
std::vector<LayerEntry> entries_of(Layered& from, std::size_t layer) {
  std::vector<LayerEntry> entries;
  from.read_layer(layer, [&](const codec::TarEntry& entry, Source& content) {
    LayerEntry one{entry, {}};
    if (entry.type == codec::FileType::Regular) {
      codec::HashSink hash;
      copy_all(content, hash);
      one.sha256 = hash.finish();
    }
    entries.push_back(std::move(one));
  });
  return entries;
}

/// Links the inputs that are at hand and still are what their names say into the other store; what is missing or
/// damaged is fetched by the build.
void lend_inputs(const lock::Lock& lock, const store::Store& from, store::Store& to, Events& events) {
  const std::vector<Digest> inputs = inputs_of(lock, false);
  Task task(events, "Checking", counted(inputs.size(), "input"));
  std::size_t done = 0;
  for (const Digest& input : inputs) {
    task.progress(done++, inputs.size());
    if (!from.has_blob(input)) {
      continue;
    }
    const fs::path source = from.blob_path(input);
    const os::Fd fd = os::open_read(source);
    os::FdSource bytes(fd.get(), source.string());
    codec::HashSink hash;
    copy_all(bytes, hash);
    if (hash.finish() != input) {
      events.warn("{} of the store is damaged, so it is fetched anew", input.brief());
      continue;
    }
    const fs::path link = to.partial_path(input);
    std::error_code failed;
    fs::create_hard_link(source, link, failed);
    if (failed) {
      fs::copy_file(source, link);
    }
    to.adopt_blob(link, input);
  }
  task.succeed();
}

Difference differing_layer(const Subject& subject, Rebuild& rebuild, std::size_t i, const image::Layer& made) {
  Difference difference{
      subject.layer_name(i), {}, "digest", subject.manifest().layers[i].digest.text(), made.encoded.digest.text()};
  const auto& diff_ids = subject.config().diff_ids;
  if (i < diff_ids.size() && diff_ids[i] == made.encoded.diff_id) {
    difference.field = "compression";
    return difference;
  }
  if (auto found = first_difference(entries_of(subject, i), entries_of(rebuild, i))) {
    found->layer = subject.layer_name(i);
    return *found;
  }
  difference.field = "encoding";
  return difference;
}

/// "config.Env: …" would need a differ of JSON; the first differing byte with what stands around it tells as much.
Difference differing_text(const char* what, const std::string& expected, const std::string& actual) {
  const auto [a, b] = std::mismatch(expected.begin(), expected.end(), actual.begin(), actual.end());
  const auto around = [](const std::string& text, std::ptrdiff_t at) {
    const auto from = static_cast<std::size_t>(std::max<std::ptrdiff_t>(0, at - 40));
    return printable(text.substr(from, 100));
  };
  return {{}, {}, what, around(expected, a - expected.begin()), around(actual, b - actual.begin())};
}

}  // namespace

std::vector<Digest> inputs_of(const lock::Lock& lock, bool built) {
  std::vector<Digest> inputs;
  for (const lock::Deb& deb : lock.debs) {
    inputs.push_back(deb.artifact.sha256);
  }
  for (const std::vector<lock::Wheel>* wheels : {&lock.wheels, &lock.build_tools, &lock.tools}) {
    for (const lock::Wheel& w : *wheels) {
      inputs.push_back(w.artifact.sha256);
      if (built && w.built) {
        inputs.push_back(w.built->sha256);
      }
    }
  }
  std::ranges::sort(inputs);
  inputs.erase(std::unique(inputs.begin(), inputs.end()), inputs.end());
  return inputs;
}

std::optional<Difference> first_difference(const std::vector<LayerEntry>& expected,
                                           const std::vector<LayerEntry>& actual) {
  std::map<std::string, std::pair<const LayerEntry*, const LayerEntry*>> paths;
  for (const LayerEntry& e : expected) {
    paths[e.entry.path].first = &e;
  }
  for (const LayerEntry& e : actual) {
    paths[e.entry.path].second = &e;
  }
  for (const auto& [path, pair] : paths) {
    const auto& [a, b] = pair;
    if (a == nullptr || b == nullptr) {
      return Difference{{},
                        path,
                        "presence",
                        a == nullptr ? "missing" : type_name(a->entry.type),
                        b == nullptr ? "missing" : type_name(b->entry.type)};
    }
    if (auto difference = compare(*a, *b)) {
      return difference;
    }
  }
  return std::nullopt;
}

Verification verify(const Subject& subject, lock::Context& context) {
  Verification result;
  result.expected = subject.digest();
  result.layers = subject.layers();

  // The folder is the sandbox's to walk through, as a store of its own would be.
  const os::TempDir folder = context.store.temp_dir("verify-");
  os::call(::chmod, folder.path().c_str(), mode_t{0711}).or_throw("set the mode of `{}`", folder.path().string());
  store::Store empty(folder.path() / "store");
  lock::Context alone{context.config, empty, context.http, context.events, context.id, context.offline};
  if (subject.lock()) {
    lend_inputs(*subject.lock(), context.store, empty, context.events);
  }
  Rebuild rebuild(subject, alone);
  const std::vector<image::Layer> layers = rebuild.engine().build();
  std::vector<oci::LayerSource> sources;
  for (const image::Layer& layer : layers) {
    sources.push_back(image::layer_source(layer, rebuild.engine()));
  }
  result.taken = rebuild.taken();
  oci::ImageConfig config = rebuild.config();
  image::add_history(config, layers);
  const oci::Image made = oci::make_image(std::move(config), sources);
  result.actual = codec::sha256(made.manifest);
  result.same = result.actual == result.expected;
  std::size_t equal = 0;
  for (std::size_t i = 0; i < std::min(layers.size(), subject.layers()); ++i) {
    const auto& diff_ids = subject.config().diff_ids;
    equal += i < diff_ids.size() && diff_ids[i] == layers[i].encoded.diff_id ? 1 : 0;
    if (!result.first && layers[i].encoded.digest != subject.manifest().layers[i].digest) {
      result.first = differing_layer(subject, rebuild, i, layers[i]);
    }
  }
  result.same_content = equal == layers.size() && equal == subject.layers();
  if (!result.same && !result.first) {
    if (layers.size() != subject.layers()) {
      result.first = Difference{{}, {}, "layers", std::to_string(subject.layers()), std::to_string(layers.size())};
    } else if (made.config != subject.config_text()) {
      result.first = differing_text("config", subject.config_text(), made.config);
    } else {
      result.first = differing_text("manifest", subject.manifest_text(), made.manifest);
    }
  }
  return result;
}

}  // namespace slip::inspect
