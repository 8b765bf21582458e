#include "lock/packages.h"

#include <algorithm>
#include <atomic>
#include <map>

#include "codec/sha256.h"
#include "core/count.h"
#include "core/parallel.h"
#include "launch/ownership.h"
#include "store/root.h"

namespace slip::lock {
namespace {

Error offline_error(const std::string& what) {
  Error error(ErrorKind::Unavailable, "`{}` is not in the store, and --offline forbids to fetch it", what);
  error.add_hint("run the command once without --offline");
  return error;
}

/// Downloads what the store lacks. `urls_of(i)` is asked only for missing ones.
template <class UrlsOf>
void fetch(std::span<const Artifact> artifacts, const std::vector<std::string>& labels, UrlsOf urls_of,
           Context& context) {
  std::vector<http::Download> jobs;
  std::vector<Digest> digests;
  for (std::size_t i = 0; i < artifacts.size(); ++i) {
    const Artifact& artifact = artifacts[i];
    if (context.store.has_blob(artifact.sha256) ||
        std::find(digests.begin(), digests.end(), artifact.sha256) != digests.end()) {
      continue;
    }
    if (context.offline) {
      throw offline_error(labels[i]);
    }
    http::Download job;
    job.urls = urls_of(i);
    job.target = context.store.partial_path(artifact.sha256);
    job.size = artifact.size;
    job.sha256 = artifact.sha256;
    job.label = labels[i];
    jobs.push_back(std::move(job));
    digests.push_back(artifact.sha256);
  }
  if (jobs.empty()) {
    return;
  }
  Task task(context.events, "Downloading", counted(jobs.size(), "file"));
  context.http.download(jobs, task.id());
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    context.store.adopt_blob(jobs[i].target, digests[i]);
  }
  task.succeed();
}

std::string key_of_set(std::span<const Deb> debs, const std::string& suite) {
  codec::Sha256 hash;
  hash.update(as_bytes("unconfigured-root/1 " + suite));
  for (const Deb& deb : debs) {
    hash.update(as_bytes(" " + deb.artifact.sha256.hex()));
  }
  return hash.finish().hex().substr(0, 40);
}

}  // namespace

void fetch_debs(std::span<const Deb> debs, Context& context) {
  std::vector<Artifact> artifacts;
  std::vector<std::string> labels;
  for (const Deb& deb : debs) {
    artifacts.push_back(deb.artifact);
    labels.push_back(deb.name + " " + deb.version);
  }
  fetch(
      artifacts, labels,
      [&](std::size_t i) {
        std::vector<std::string> urls;
        for (const std::string& base : config::require_debian(context.config, artifacts[i].source)) {
          urls.push_back(base + "/" + artifacts[i].file);
        }
        return urls;
      },
      context);
}

void fetch_wheels(std::span<const Wheel> wheels, Context& context) {
  std::vector<Artifact> artifacts;
  std::vector<std::string> labels;
  std::map<std::string, std::vector<wheel::File>> missing;
  for (const Wheel& w : wheels) {
    artifacts.push_back(w.artifact);
    labels.push_back(w.name + " " + w.version);
    if (!context.store.has_blob(w.artifact.sha256)) {
      wheel::File file;
      file.name = w.name;
      file.version = w.version;
      file.file = w.artifact.file;
      file.size = w.artifact.size;
      file.sha256 = w.artifact.sha256;
      missing[w.artifact.source].push_back(std::move(file));
    }
  }
  std::map<Digest, std::string> urls;
  if (!context.offline) {
    for (const auto& [alias, files] : missing) {
      urls.merge(wheel::locate(files, alias, context.config, context.http, context.store));
    }
  }
  fetch(
      artifacts, labels, [&](std::size_t i) { return std::vector<std::string>{urls.at(artifacts[i].sha256)}; },
      context);
}

std::vector<deb::Unpacked> unpack_debs(std::span<const Deb> debs, const std::string& suite, Context& context) {
  std::vector<deb::Unpacked> unpacked(debs.size());
  Task task(context.events, "Unpacking", counted(debs.size(), "Debian package"));
  std::atomic<std::size_t> done{0};
  parallel_for(debs.size(), context.config.jobs, [&](std::size_t i) {
    with_context([&] { return format("unpack {} {}", debs[i].name, debs[i].version); },
                 [&] {
                   unpacked[i] = deb::unpack(context.store.blob_path(debs[i].artifact.sha256), debs[i].artifact.sha256,
                                             suite, context.store, context.id);
                 });
    task.progress(++done, debs.size());
  });
  task.succeed();
  return unpacked;
}

std::filesystem::path unconfigured_root(std::span<const Deb> debs, const std::string& suite, Context& context) {
  const std::string key = "root-debs-" + key_of_set(debs, suite);
  if (const auto found = context.store.find_tree(key)) {
    return *found;
  }
  fetch_debs(debs, context);
  std::vector<deb::Unpacked> packages = unpack_debs(debs, suite, context);
  deb::settle_overlaps(packages);
  std::vector<std::vector<codec::LayerItem>> layers;
  layers.push_back(deb::skeleton(suite));
  for (const deb::Unpacked& package : packages) {
    layers.push_back(package.items);
  }
  layers.push_back(deb::dpkg_database(packages));
  return context.store.ensure_tree(key, [&](const std::filesystem::path& into) {
    store::write_root(into, layers, disk_owner(context), launch::kOwnerRecord);
  });
}

std::optional<store::DiskOwner> disk_owner(const Context& context) {
  return store::DiskOwner{static_cast<std::uint32_t>(context.id.uid), static_cast<std::uint32_t>(context.id.gid)};
}

wheel::Target interpreter_of(std::span<const Deb> debs, const std::string& suite, const std::string& python) {
  wheel::Target target;
  target.python = python;
  codec::Sha256 build;
  for (const Deb& deb : debs) {
    if (deb.name == "python" + python + "-minimal") {
      const std::size_t end = deb.version.find_first_of("-+~");
      target.full_version = deb.version.substr(0, end);
    }
    if (deb.name.starts_with("python" + python) || deb.name.starts_with("libpython" + python)) {
      build.update(as_bytes(deb.name + " " + deb.version + " " + deb.artifact.sha256.hex() + "\n"));
    }
    if (deb.name == "libc6") {
      target.glibc = deb.version.substr(0, deb.version.find_first_of("-+~"));
    }
  }
  if (target.full_version.empty()) {
    throw Error(ErrorKind::NotFound, "the locked packages of `{}` hold no Python {}", suite, python);
  }
  target.build_id = build.finish().hex();
  return target;
}

wheel::Target target_of(std::span<const Deb> debs, const std::string& suite, const std::string& python,
                        Context& context) {
  wheel::Target target = interpreter_of(debs, suite, python);
  target.root = unconfigured_root(debs, suite, context);
  return target;
}

namespace {

/// Builds the sdists whose wheels the store lacks.
void build_sdists(const Lock& lock, const wheel::Target& target, Context& context) {
  std::vector<Wheel> sdists;
  for (const Wheel& w : lock.wheels) {
    if (w.built && !context.store.has_blob(w.built->sha256)) {
      sdists.push_back(w);
    }
  }
  if (sdists.empty()) {
    return;
  }
  fetch_wheels(sdists, context);
  fetch_wheels(lock.build_tools, context);
  std::vector<wheel::WheelInput> tools;
  for (const Wheel& tool : lock.build_tools) {
    tools.push_back({context.store.blob_path(tool.artifact.sha256), tool.artifact.file, tool.artifact.sha256, false});
  }
  for (const Wheel& w : sdists) {
    const wheel::Built built = wheel::build_sdist(context.store.blob_path(w.artifact.sha256), w.artifact.file, tools,
                                                  target, context.store, context.id, context.events);
    if (built.sha256 != w.built->sha256) {
      throw Error(ErrorKind::Corrupt, "building {} {} gave a wheel with sha256 {}, the lock has {}", w.name, w.version,
                  built.sha256.brief(), w.built->sha256.brief())
          .add_hint("run `slipway lock --update " + w.name + "` if its build tools changed on purpose");
    }
  }
}

}  // namespace

std::vector<wheel::WheelInput> wheel_files(const Lock& lock, const wheel::Target& target, Context& context) {
  std::vector<Wheel> plain;
  for (const Wheel& w : lock.wheels) {
    if (!w.built) {
      plain.push_back(w);
    }
  }
  fetch_wheels(plain, context);
  build_sdists(lock, target, context);
  std::vector<wheel::WheelInput> inputs;
  for (const Wheel& w : lock.wheels) {
    const Digest& sha256 = w.built ? w.built->sha256 : w.artifact.sha256;
    inputs.push_back({context.store.blob_path(sha256), w.built ? w.built->file : w.artifact.file, sha256, false});
  }
  return inputs;
}

}  // namespace slip::lock
