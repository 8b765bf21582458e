#include "project.h"

#include <cstdlib>

#include "codec/sha256.h"
#include "core/error.h"
#include "lock/solve.h"
#include "os/file.h"

namespace slip::cli {
namespace {

namespace fs = std::filesystem;

fs::path find_spec(const std::string& file) {
  if (!file.empty()) {
    return fs::is_directory(file) ? fs::path(file) / "slipway.yaml" : fs::path(file);
  }
  const fs::path here = fs::current_path();
  for (fs::path folder = here; !folder.empty(); folder = folder.parent_path()) {
    if (fs::exists(folder / "slipway.yaml")) {
      return folder / "slipway.yaml";
    }
    if (folder == folder.root_path()) {
      break;
    }
  }
  throw Error(ErrorKind::NotFound, "there is no slipway.yaml in `{}` or above it", here.string())
      .add_hint("run `slipway init` to write one");
}

std::string lock_command(const Project& project) {
  return project.spec.variant.empty() ? "slipway lock" : "slipway lock --variant " + project.spec.variant;
}

}  // namespace

Project open_project(const std::string& file, const std::string& variant) {
  const fs::path spec_file = find_spec(file);
  Project project;
  project.spec = spec::load(spec_file, variant);
  project.lock_file = project.spec.folder / (variant.empty() ? "slipway.lock" : "slipway." + variant + ".lock");
  if (const auto text = os::read_file_if_any(project.lock_file)) {
    project.lock = lock::from_toml(*text, project.lock_file.filename().string());
  }
  return project;
}

std::optional<lock::Lock> lock_to_follow(const Project& project) {
  if (project.lock || project.spec.variant.empty()) {
    return project.lock;
  }
  const fs::path base = project.spec.folder / "slipway.lock";
  if (const auto text = os::read_file_if_any(base)) {
    try {
      return lock::from_toml(*text, base.filename().string());
    } catch (const Error&) {
      return std::nullopt;  // whoever locks the base is told
    }
  }
  return std::nullopt;
}

std::pair<fs::path, Digest> find_program(const char* name, const char* variable) {
  const char* given = std::getenv(variable);
  const fs::path path =
      given != nullptr && *given != '\0' ? fs::path(given) : fs::read_symlink("/proc/self/exe").parent_path() / name;
  if (!fs::exists(path)) {
    throw Error(ErrorKind::NotFound, "`{}`, which belongs into the image, is not beside slipway", path.string())
        .add_hint(format("install slipway and {} into the same folder (`make install` does)", name));
  }
  const os::Mapping bytes(path);
  return {path, codec::sha256(bytes.bytes())};
}

image::InitProgram find_init() {
  const auto [path, sha256] = find_program("slipway-init", "SLIPWAY_INIT");
  return {path, sha256};
}

const lock::Lock& require_lock(const Project& project, const image::InitProgram& init) {
  const std::string name = project.lock_file.filename().string();
  if (!project.lock) {
    throw Error(ErrorKind::NotFound, "`{}` is not locked: there is no {}", project.spec.name, name)
        .add_hint(format("run `{}`", lock_command(project)));
  }
  if (const std::string reason = lock::stale_reason(*project.lock, project.spec, init.sha256); !reason.empty()) {
    throw Error(ErrorKind::Conflict, "{} is stale: {}", name, reason)
        .add_hint(format("run `{}`", lock_command(project)));
  }
  return *project.lock;
}

}  // namespace slip::cli
