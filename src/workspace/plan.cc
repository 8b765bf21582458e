#include "workspace/plan.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"
#include "image/plan.h"
#include "os/file.h"

namespace slip::workspace {
namespace {

std::filesystem::path absolute(const std::string& source, const std::filesystem::path& folder) {
  return (std::filesystem::path(source).is_absolute() ? std::filesystem::path(source) : folder / source)
      .lexically_normal();
}

void add_mount(std::vector<launch::Mount>& mounts, launch::Mount mount) {
  std::erase_if(mounts, [&](const launch::Mount& m) { return m.target == mount.target; });
  mounts.push_back(std::move(mount));
}

bool lies_in(const std::filesystem::path& path, const std::filesystem::path& folder) {
  const std::filesystem::path relative = path.lexically_relative(folder);
  return !relative.empty() && *relative.begin() != "..";
}

}  // namespace

launch::LaunchPlan plan_run(const spec::Spec& spec, const std::filesystem::path& root, const RunOptions& options) {
  launch::LaunchPlan plan;
  plan.name = spec.name;
  plan.root = root;
  plan.argv = options.command;
  plan.env = image::image_env(spec);
  plan.home = "/home/" + spec.user;
  plan.env["HOME"] = plan.home;
  plan.env["USER"] = spec.user;
  plan.env["LOGNAME"] = spec.user;
  for (const auto& [name, value] : options.env) {
    plan.env[name] = value;
  }
  plan.cwd = "/workspace";
  plan.uid = launch::InnerId{image::kUserId};
  plan.gid = launch::InnerId{image::kUserId};
  plan.hostname = spec.name;
  for (const spec::MountRequest& m : spec.mounts) {
    add_mount(plan.mounts, {absolute(m.source, spec.folder), m.target, m.read_only});
  }
  for (const launch::Mount& m : options.mounts) {
    add_mount(plan.mounts, m);
  }
  plan.limits = {spec.resources.memory_bytes, spec.resources.cpus, spec.resources.pids, spec.resources.shm_bytes};
  return plan;
}

launch::Mount parse_mount(const std::string& text, const std::filesystem::path& folder) {
  std::vector<std::string_view> parts = split(text, ':');
  launch::Mount mount;
  if (parts.size() == 3 && (parts[2] == "ro" || parts[2] == "rw")) {
    mount.read_only = parts[2] == "ro";
    parts.pop_back();
  }
  if (parts.size() != 2 || parts[0].empty() || !parts[1].starts_with('/')) {
    throw Error(ErrorKind::Usage, "`{}` is not a mount: write SOURCE:TARGET, SOURCE:TARGET:ro or SOURCE:TARGET:rw",
                text);
  }
  mount.source = absolute(std::string(parts[0]), folder);
  mount.target = std::string(parts[1]);
  return mount;
}

void prepare_mounts(const launch::LaunchPlan& plan, const std::filesystem::path& project) {
  for (const launch::Mount& mount : plan.mounts) {
    std::error_code ignored;
    if (std::filesystem::exists(mount.source, ignored)) {
      continue;
    }
    if (!mount.read_only && lies_in(mount.source, project)) {
      os::make_dirs(mount.source);
      continue;
    }
    throw Error(ErrorKind::NotFound, "mount `{}` at `{}`: there is no such file or folder", mount.source.string(),
                mount.target)
        .add_hint(format("make it, or change the mount in slipway.yaml"));
  }
}

}  // namespace slip::workspace
