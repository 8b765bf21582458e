#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "launch/plan.h"
#include "spec/spec.h"

namespace slip::workspace {

/// What a person asked for on top of the spec.
struct RunOptions {
  std::vector<std::string> command;
  std::vector<launch::Mount> mounts;       ///< take the place of the spec's at the same target
  std::map<std::string, std::string> env;  ///< win over the image's
};

/// The launch plan of `slipway run`: the image's root, the spec's mounts and limits, the command; a home that is gone
/// afterwards, no network. Pure: sources of mounts are made absolute, not looked at.
launch::LaunchPlan plan_run(const spec::Spec& spec, const std::filesystem::path& root, const RunOptions& options);

/// "SRC:DST[:ro|rw]" of `--mount`; read-only unless it says rw. Relative sources are relative to `folder`.
/// @throws Error Usage for anything else
launch::Mount parse_mount(const std::string& text, const std::filesystem::path& folder);

/// Folders that a project's own read-write mounts name and that are not there yet are made (a fresh checkout has no
/// ./output); everything else must exist. @throws Error NotFound naming the mount
void prepare_mounts(const launch::LaunchPlan& plan, const std::filesystem::path& project);

}  // namespace slip::workspace
