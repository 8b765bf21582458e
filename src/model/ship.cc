#include "model/ship.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "codec/sha256.h"
#include "core/error.h"
#include "core/text.h"
#include "core/time.h"
#include "image/engine.h"
#include "image/system.h"
#include "lock/packages.h"
#include "model/closure.h"
#include "model/notices.h"
#include "os/file.h"
#include "wheel/archive.h"

namespace slip::model {
namespace {

namespace fs = std::filesystem;
using codec::Json;
using codec::LayerItem;
using image::TextsRecipe;

constexpr const char* kVersionsFile = "etc/slipway/models.config";
constexpr const char* kTensorflow = "usr/lib/slipway/tensorflow";
constexpr const char* kCertificates = "usr/share/ca-certificates/";

/// "LICENSE", "COPYING.MPL2", "THIRD_PARTY_NOTICES.txt": what must stay with the files that it speaks of.
bool is_licence(const std::string& name) {
  const std::string file = to_lower(name.substr(name.find_last_of('/') + 1));
  const bool code = file.ends_with(".py") || file.ends_with(".h") || file.ends_with(".inc");
  return !code && (file.starts_with("licen") || file.starts_with("copying") || file.starts_with("copyright") ||
                   file.starts_with("notice") || file.starts_with("third_party_notice"));
}

/// TensorFlow's two libraries as slipway-serve looks for them, what says whose they are, and all licences of the wheel.
image::ExtractRecipe tensorflow_recipe(const lock::Wheel& wheel, std::int64_t epoch, lock::Context& context) {
  image::ExtractRecipe recipe{epoch, wheel, {}};
  const std::string dist_info = format("tensorflow_cpu-{}.dist-info", wheel.version);
  const std::string lib = kTensorflow;
  recipe.files = {
      {lib + "/libtensorflow_framework.so.2", "tensorflow/libtensorflow_framework.so.2"},
      {lib + "/python/_pywrap_tensorflow_internal.so", "tensorflow/python/_pywrap_tensorflow_internal.so"},
      {format("usr/lib/slipway/site-packages/{}/METADATA", dist_info), dist_info + "/METADATA"},
  };
  lock::fetch_wheels({&wheel, 1}, context);
  const wheel::Archive archive = wheel::open_wheel(
      {context.store.blob_path(wheel.artifact.sha256), wheel.artifact.file, wheel.artifact.sha256, false});
  for (const codec::ZipEntry& entry : archive.entries) {
    if (is_licence(entry.name)) {
      recipe.files.emplace(format("usr/share/doc/{}/{}", wheel.name, entry.name), entry.name);
    }
  }
  return recipe;
}

/// What slipway-init starts. Ports are fixed inside; where they are published is for whoever starts the image.
std::string services_json() {
  const Json serve = {{"name", "serve"},
                      {"argv", Json::array({format("/{}", kServePath), "--address=${SLIPWAY_BIND:-0.0.0.0}",
                                            format("--rest_api_port={}", kRestPort), format("--port={}", kGrpcPort),
                                            "--model_config_file=${MODEL_CONFIG_FILE:-}"})},
                      {"ready", {{"notify", true}}},
                      {"stop", {{"grace_ms", 35000}}}};
  return Json{{"control", "${SLIPWAY_CONTROL:-@slipway-init}"}, {"services", Json::array({serve})}}.dump(2) + "\n";
}

image::ProgramsRecipe programs_recipe(const Programs& programs, std::int64_t epoch) {
  image::ProgramsRecipe recipe;
  recipe.epoch = epoch;
  recipe.programs = {
      {kServePath, programs.serve_sha256, programs.serve.string(), !programs.whole},
      {std::string(image::kInitPath).substr(1), programs.init.sha256, programs.init.path.string(), false}};
  recipe.texts = {{"etc/slipway/services.json", 0644, services_json()},
                  {"usr/share/doc/slipway/copyright", 0644, kNotices}};
  return recipe;
}

/// Every certificate of ca-certificates in one file, in the order of their names, as update-ca-certificates makes it.
std::string certificates(const std::vector<deb::Unpacked>& packages) {
  std::map<std::string, std::string> by_name;
  for (const deb::Unpacked& package : packages) {
    for (const LayerItem& item : package.items) {
      const std::string& path = item.entry.path;
      if (path.starts_with(kCertificates) && path.ends_with(".crt") && item.entry.type == codec::FileType::Regular) {
        by_name[path] = image::content_of(item);
      }
    }
  }
  std::string bundle;
  for (const auto& [path, text] : by_name) {
    bundle += text + (text.ends_with('\n') ? "" : "\n");
  }
  return bundle;
}

/// The files of packages that no program opens and that belong in all the same: the release, and licences.
void add_papers(const std::vector<deb::Unpacked>& packages, std::set<std::string>& paths, std::set<std::string>& used) {
  const auto add = [&](const std::string& path) {
    for (std::string& found : with_targets(path, packages)) {
      paths.insert(std::move(found));
    }
  };
  add("etc/os-release");
  add("usr/lib/os-release");
  add("etc/debian_version");
  const std::set<std::string> before = used;
  for (const std::string& name : before) {
    const std::string folder = "usr/share/doc/" + name;
    const std::vector<std::string> linked = with_targets(folder, packages);
    if (linked.empty()) {
      add(folder + "/copyright");
      continue;
    }
    // A link to the folder of another package, whose copyright file is meant.
    paths.insert(folder);
    for (const deb::Unpacked& package : packages) {
      for (const LayerItem& item : package.items) {
        if (item.entry.path == folder) {
          add("usr/share/doc/" + item.entry.link + "/copyright");
          used.insert(item.entry.link);
        }
      }
    }
  }
}

std::vector<TextsRecipe::File> system_texts(const std::vector<deb::Unpacked>& packages,
                                            const std::set<std::string>& used) {
  const std::string id = std::to_string(kUserId);
  std::vector<TextsRecipe::File> texts = {
      {"etc/passwd", 0644, format("nonroot:x:{}:{}:nonroot:/nonexistent:/nonexistent\n", id, id)},
      {"etc/group", 0644, format("nonroot:x:{}:\n", id)},
      {"etc/nsswitch.conf", 0644, "passwd: files\ngroup: files\nhosts: files dns\n"},
      {"etc/ssl/certs/ca-certificates.crt", 0644, certificates(packages)},
  };
  // The package database as scanners look for it in images without dpkg: one file per package.
  for (const deb::Unpacked& package : packages) {
    if (used.contains(package.name())) {
      texts.push_back({"var/lib/dpkg/status.d/" + package.name(), 0644, package.control_text + "\n"});
    }
  }
  return texts;
}

/// An archive of a running suite keeps only the newest of a package.
void fetch_system(const lock::Lock& runtime, lock::Context& context) {
  try {
    lock::fetch_debs(runtime.debs, context);
  } catch (Error& error) {
    if (error.kind() == ErrorKind::NotFound) {
      error.add_hint("the archive may have a newer one: `slipway ship DIR --runtime runtime.lock --update` locks that");
    }
    throw;
  }
}

image::PickRecipe system_recipe(const lock::Lock& runtime, const std::vector<LayerItem>& programs,
                                std::vector<lock::Deb>& debs, lock::Context& context) {
  fetch_system(runtime, context);
  const std::vector<deb::Unpacked> packages = lock::unpack_debs(runtime.debs, runtime.suite, context);
  const Closure closure = closure_of(programs, packages);
  std::set<std::string> paths(closure.paths.begin(), closure.paths.end());
  std::set<std::string> used(closure.packages.begin(), closure.packages.end());
  used.insert({"base-files", "ca-certificates"});
  add_papers(packages, paths, used);
  for (const lock::Deb& deb : runtime.debs) {
    if (used.contains(deb.name)) {
      debs.push_back(deb);
    }
  }
  return {runtime.suite, epoch_of(runtime.snapshot), debs, {paths.begin(), paths.end()}, system_texts(packages, used)};
}

void add_model_files(const fs::path& folder, const std::string& target, std::vector<image::ProjectFile>& files) {
  files.push_back({target, "", 0755, 0, {}, "", image::ProjectFile::Kind::Folder});
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const fs::path real = fs::canonical(entry.path());  // a model is data: links are followed
    if (fs::is_directory(real)) {
      add_model_files(real, target + "/" + name, files);
      continue;
    }
    if (!fs::is_regular_file(real)) {
      throw Error(ErrorKind::Invalid, "`{}` is neither a file nor a folder", entry.path().string());
    }
    const os::Mapping bytes(real);
    files.push_back({target + "/" + name, real.string(), 0644, bytes.bytes().size(), codec::sha256(bytes.bytes()), "",
                     image::ProjectFile::Kind::File});
  }
}

image::FilesRecipe model_recipe(const std::vector<SavedModel>& models, std::int64_t epoch) {
  image::FilesRecipe recipe;
  recipe.epoch = epoch;
  recipe.owner = 0;
  const std::string base = format("{}/{}", std::string(kModels).substr(1), models.back().name);
  for (const std::string& folder : {std::string(kModels).substr(1), base}) {
    recipe.files.push_back({folder, "", 0755, 0, {}, "", image::ProjectFile::Kind::Folder});
  }
  for (const SavedModel& model : models) {
    add_model_files(model.folder, base + "/" + model.version, recipe.files);
  }
  std::sort(recipe.files.begin(), recipe.files.end(),
            [](const image::ProjectFile& a, const image::ProjectFile& b) { return a.path < b.path; });
  return recipe;
}

Json json_of(const std::map<std::string, serving::TensorInfo>& tensors) {
  Json json = Json::object();
  for (const auto& [name, tensor] : tensors) {
    json[name] = {{"dtype", serving::proto_name_of(tensor.type)},
                  {"shape", tensor.unknown_rank ? Json(nullptr) : Json(tensor.shape)}};
  }
  return json;
}

/// The server's own setting is the newest version alone.
TextsRecipe versions_recipe(const std::string& name, std::int64_t epoch) {
  const std::string text =
      format("model_config_list {{ config {{ name: \"{}\" base_path: \"{}/{}\" ", name, std::string(kModels), name) +
      "model_version_policy { all {} } } }\n";
  return {epoch, {{kVersionsFile, 0644, text}}};
}

std::string label_of(const ShipInput& input) {
  Json versions = Json::array();
  for (const SavedModel& model : input.models) {
    versions.push_back(model.version);
  }
  Json signatures = Json::object();
  for (const auto& [name, signature] : input.models.back().graph.signatures) {
    signatures[name] = {
        {"method", signature.method}, {"inputs", json_of(signature.inputs)}, {"outputs", json_of(signature.outputs)}};
  }
  return codec::dump_canonical({{"name", input.models.back().name},
                                {"versions", versions},
                                {"signatures", signatures},
                                {"tensorflow", input.runtime.wheels.at(0).version},
                                {"slipway-serve", input.programs.named().text()},
                                {"slipway-init", input.programs.init.sha256.text()}});
}

oci::ImageConfig config_of(const ShipInput& input, const lock::Lock& lock) {
  constexpr std::uint64_t kSecond = 1'000'000'000;
  oci::ImageConfig config;
  config.created = lock.snapshot;
  config.user = format("{}:{}", kUserId, kUserId);
  for (const auto& [name, value] : model_env(input.models.back().name, input.models.size() > 1)) {
    config.env.push_back(name + "=" + value);
  }
  config.entrypoint = {image::kInitPath};
  config.healthcheck = {{"CMD", format("/{}", kServePath), "--probe", format("--rest_api_port={}", kRestPort)},
                        10 * kSecond,
                        5 * kSecond,
                        60 * kSecond,
                        3};
  config.exposed_ports = {format("{}/tcp", kRestPort), format("{}/tcp", kGrpcPort)};
  config.working_dir = "/";
  config.stop_signal = "SIGTERM";
  config.labels = {{"dev.slipway.lock", lock::digest(lock).text()},
                   {kModelLabel, label_of(input)},
                   {"org.opencontainers.image.title", input.models.back().name},
                   {"org.opencontainers.image.version", input.models.back().version}};
  if (!input.training.empty()) {
    config.labels[kTrainingLabel] = input.training;
  }
  return config;
}

std::vector<std::string> titles(const std::vector<lock::Deb>& debs) {
  std::vector<std::string> list;
  for (const lock::Deb& deb : debs) {
    list.push_back(deb.name + " " + deb.version);
  }
  return list;
}

}  // namespace

std::map<std::string, std::string> model_env(const std::string& name, bool several) {
  std::map<std::string, std::string> env = {
      {"LANG", "C.UTF-8"}, {"MODEL_BASE_PATH", kModels}, {"MODEL_NAME", name}, {"PATH", "/usr/bin"}};
  if (several) {
    env["MODEL_CONFIG_FILE"] = format("/{}", kVersionsFile);
  }
  return env;
}

ShipPlan plan_ship(const ShipInput& input, lock::Context& context) {
  const std::int64_t epoch = epoch_of(input.runtime.snapshot);
  const lock::Wheel& wheel = input.runtime.wheels.at(0);
  const std::vector<image::LayerPlan> programs = {
      {"tensorflow", {wheel.name + " " + wheel.version}, tensorflow_recipe(wheel, epoch, context)},
      {"slipway-serve", {}, programs_recipe(input.programs, epoch)}};
  image::Engine engine(input.runtime, programs, context);
  std::vector<LayerItem> items = engine.items(0);
  items.insert(items.end(), engine.items(1).begin(), engine.items(1).end());

  ShipPlan plan;
  plan.lock = input.runtime;
  plan.lock.debs.clear();
  image::PickRecipe system = system_recipe(input.runtime, items, plan.lock.debs, context);
  plan.layers.push_back({"system", titles(plan.lock.debs), std::move(system)});
  plan.layers.insert(plan.layers.end(), programs.begin(), programs.end());
  const std::string path = std::string(image::kLockPath).substr(1);
  plan.layers.push_back({"lock", {}, TextsRecipe{epoch, {{path, 0644, lock::to_toml(plan.lock)}}}});
  if (input.models.size() > 1) {
    plan.layers.push_back({"versions", {}, versions_recipe(input.models.back().name, epoch)});
  }
  plan.layers.push_back({"model", {}, model_recipe(input.models, epoch)});
  plan.config = config_of(input, plan.lock);
  return plan;
}

}  // namespace slip::model
