#include "image/plan.h"

#include <algorithm>

#include "codec/sha256.h"
#include "core/format.h"
#include "core/time.h"
#include "cuda/toolkit.h"
#include "image/files.h"
#include "image/services.h"
#include "lock/packages.h"

namespace slip::image {
namespace {

/// What kernels may take that the driver compiles from PTX for a GPU newer than the image's CUDA, in bytes: its own
/// limit is below what TensorFlow's come to, so that they would be compiled again and again.
constexpr const char* kKernelCache = "4294967296";

/// Layer names in the order their layers stand: the base first, the rest by name.
template <class Package>
std::vector<std::string> layer_names(const std::vector<Package>& packages) {
  std::vector<std::string> names;
  for (const Package& p : packages) {
    names.push_back(p.layer);
  }
  std::sort(names.begin(), names.end(), [](const std::string& a, const std::string& b) {
    return (a == "base") != (b == "base") ? a == "base" : a < b;
  });
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

template <class Package>
std::vector<Package> in_layer(const std::vector<Package>& packages, const std::string& name) {
  std::vector<Package> chosen;
  std::copy_if(packages.begin(), packages.end(), std::back_inserter(chosen),
               [&](const Package& p) { return p.layer == name; });
  return chosen;
}

template <class Package>
std::vector<std::string> titles(const std::vector<Package>& packages) {
  std::vector<std::string> list;
  for (const Package& p : packages) {
    list.push_back(p.name + " " + p.version);
  }
  return list;
}

void add_debs(std::vector<LayerPlan>& layers, const lock::Lock& lock) {
  for (const std::string& name : layer_names(lock.debs)) {
    const std::vector<lock::Deb> debs = in_layer(lock.debs, name);
    layers.push_back({name, titles(debs), DebsRecipe{lock.suite, layers.empty(), debs}});
  }
}

void add_wheels(std::vector<LayerPlan>& layers, const lock::Lock& lock) {
  const std::string build = lock::interpreter_of(lock.debs, lock.suite, lock.python).build_id;
  for (const std::string& name : layer_names(lock.wheels)) {
    WheelsRecipe recipe{build, kPrefix, in_layer(lock.wheels, name), {}};
    for (const lock::Wheel& w : recipe.wheels) {
      if (w.why == "requirement") {
        recipe.requested.insert(w.name);
      }
    }
    std::vector<std::string> packages = titles(recipe.wheels);
    layers.push_back({name, std::move(packages), std::move(recipe)});
  }
}

/// Wheels whose libraries are found by soname.
std::vector<lock::Wheel> library_wheels(const spec::Spec& spec, const lock::Lock& lock) {
  std::vector<lock::Wheel> wheels;
  if (spec.gpu) {
    std::ranges::copy_if(lock.wheels, std::back_inserter(wheels),
                         [](const lock::Wheel& w) { return cuda::brings_libraries(w.name); });
  }
  return wheels;
}

}  // namespace

std::vector<LayerPlan> wheel_layers(const lock::Lock& lock) {
  std::vector<LayerPlan> layers;
  if (!lock.wheels.empty()) {
    add_wheels(layers, lock);
  }
  return layers;
}

std::map<std::string, std::string> image_env(const spec::Spec& spec) {
  std::map<std::string, std::string> env = {{"LANG", "C.UTF-8"},
                                            {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}};
  if (!spec.python.empty()) {
    env["PATH"] = format("{}/bin:{}", kPrefix, env["PATH"]);
    env["VIRTUAL_ENV"] = kPrefix;
  }
  if (spec.gpu) {
    env["CUDA_CACHE_MAXSIZE"] = kKernelCache;
  }
  for (const auto& [name, value] : spec.env) {
    env[name] = value;
  }
  return env;
}

std::vector<LayerPlan> plan_layers(const spec::Spec& spec, const lock::Lock& lock, const InitProgram& init) {
  return plan_layers(spec, lock, init,
                     spec.files.empty() ? std::vector<ProjectFile>() : project_files(spec, lock.suite));
}

std::vector<LayerPlan> plan_layers(const spec::Spec& spec, const lock::Lock& lock, const InitProgram& init,
                                   std::vector<ProjectFile> files) {
  const std::int64_t epoch = epoch_of(lock.snapshot);
  std::vector<LayerPlan> layers;
  add_debs(layers, lock);
  const ConfigureRecipe configure{lock.suite, epoch, lock.debs};
  layers.push_back({"configure", {}, configure});
  if (!lock.wheels.empty()) {
    add_wheels(layers, lock);
  }
  layers.push_back({"system",
                    {},
                    SystemRecipe{lock.suite, epoch, spec.user, lock.python, kPrefix, image_env(spec), key(configure),
                                 library_wheels(spec, lock)}});
  if (spec.services.jupyter && !spec.services.jupyter->nbextensions.empty()) {
    layers.push_back({"nbextensions",
                      {},
                      NbextensionsRecipe{epoch, kPrefix, spec.services.jupyter->nbextensions, key_of_all(layers)}});
  }
  for (std::size_t i = 0; i < spec.run.size(); ++i) {
    layers.push_back(
        {format("run-{}", i + 1),
         {},
         RunRecipe{epoch, spec.run[i].command, spec.run[i].network, image_env(spec), i, key_of_all(layers)}});
  }
  layers.push_back({"slipway-init", {}, InitRecipe{init.sha256, init.path.string()}});
  if (auto services = services_recipe(spec, epoch)) {
    layers.push_back({"services", {}, std::move(*services)});
  }
  if (!spec.files.empty()) {
    layers.push_back({"files", {}, FilesRecipe{epoch, std::move(files)}});
  }
  // With the lock in it and the spec in its label, an image can be explained, audited and made again by whoever has it.
  layers.push_back({"lock", {}, TextsRecipe{epoch, {{std::string(kLockPath).substr(1), 0644, lock::to_toml(lock)}}}});
  return layers;
}

Digest key_of_all(const std::vector<LayerPlan>& layers) {
  codec::Sha256 hash;
  for (const LayerPlan& layer : layers) {
    hash.update(as_bytes(key(layer.recipe).hex()));
  }
  return hash.finish();
}

}  // namespace slip::image
