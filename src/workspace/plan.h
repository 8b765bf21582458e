#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "launch/plan.h"
#include "oci/types.h"
#include "spec/spec.h"
#include "workspace/record.h"

namespace slip::workspace {

/// What a person asked for on top of the spec.
struct RunOptions {
  std::vector<std::string> command;
  std::vector<launch::Mount> mounts;       ///< take the place of the spec's at the same target
  std::map<std::string, std::string> env;  ///< win over the image's
  std::string gpus;  ///< as gpu::Request has it; empty: all where a project's spec asks for CUDA, never for an image
};

struct RunPlan {
  launch::LaunchPlan plan;  ///< without what gpu::give_gpus() adds
  gpu::Request gpu;
};

/// The launch plan of `slipway run`: the image's root, the spec's mounts and limits, the command; a home that is gone
/// afterwards, no network. Pure: sources of mounts are made absolute, not looked at.
RunPlan plan_run(const spec::Spec& spec, const std::filesystem::path& root, const RunOptions& options);

/// The same for an image without its project. One that slipway did not make runs as the same ordinary user, with a home
/// in /tmp.
RunPlan plan_run_image(const oci::ImageConfig& config, const std::string& reference, const std::filesystem::path& root,
                       const RunOptions& options);

/// Has the image's slipway-init run the plan's command, as pid 1: it reaps and passes signals on, which the native
/// launcher does by itself and an OCI runtime does not.
void add_init(launch::LaunchPlan& plan);

/// What `up` was asked for on top of the spec.
struct UpOptions {
  std::string name;                            ///< empty: the spec's
  std::vector<launch::Mount> mounts;           ///< take the place of the spec's at the same target
  std::map<std::string, std::string> env;      ///< win over the image's
  std::map<std::string, std::uint16_t> ports;  ///< of the host, by service
  std::string gpus;                            ///< as in RunOptions
  std::string runtime;                         ///< native, runc, crun; empty: the one it had
};

/// The record of a project's workspace. @param root  the image's merged root
Record record_of(const spec::Spec& spec, const std::filesystem::path& root, const UpOptions& options);

/// The record of a workspace that an image alone describes: its configuration and the spec in its label. Mounts of the
/// spec whose source is relative belong to a checkout and are left out.
/// @throws Error Invalid for an image that slipway did not make; Unsupported for a spec that only a newer one knows
Record record_of_image(const oci::ImageConfig& config, const std::string& reference, const std::filesystem::path& root,
                       const UpOptions& options);

/// "SRC:DST[:ro|rw]" of `--mount`; read-only unless it says rw. Relative sources are relative to `folder`.
/// @throws Error Usage for anything else
launch::Mount parse_mount(const std::string& text, const std::filesystem::path& folder);

/// Folders that a project's own read-write mounts name and that are not there yet are made (a fresh checkout has no
/// ./output); everything else must exist. @throws Error NotFound naming the mount
void prepare_mounts(const std::vector<launch::Mount>& mounts, const std::filesystem::path& project);

}  // namespace slip::workspace
