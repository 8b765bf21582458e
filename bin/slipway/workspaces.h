#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "workspace/inspect.h"
#include "workspace/unit.h"

namespace slip::cli {

/// The workspace that a command means: the one named, or that of the project here.
/// @throws Error NotFound
workspace::Record find_workspace(const std::string& name);

/// The services as users know them: a model's server, one program behind two ports, is two.
std::vector<workspace::ServiceState> service_rows(const workspace::View& view);

/// The record of `up --json` and `ps --json`.
nlohmann::json to_json(const workspace::View& view, const workspace::Folder& folder);

/// "running", "failed: ssh ended 6 times within a minute".
std::string state_text(const workspace::View& view);

/// One sentence on what was installed by hand and how to keep it; empty when there is nothing.
std::string drift_text(const workspace::View& view);

/// Where this user's systemd units lie, and what they start.
workspace::UnitInput unit_input(const os::HostDirs& dirs);

/// $HOME, or what the user data base says.
std::filesystem::path person_home();

}  // namespace slip::cli
