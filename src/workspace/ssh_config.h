#pragma once

#include <filesystem>
#include <string>

#include "workspace/record.h"

/// What OpenSSH's clients need to reach a workspace by its name.
namespace slip::workspace {

/// The Host block of one workspace: port, key, host key and nothing that the person's own settings could spoil.
/// @source ssh_config(5)
std::string ssh_block(const Record& record, const Folder& folder);

/// The block for somebody's laptop when the workspace runs on `via` (anything ssh(1) takes as a destination): jumps
/// through it, and brings Jupyter to the same port of the laptop's loopback.
/// @param host_key  public line of the workspace's host key
std::string remote_ssh_block(const Record& record, const std::string& via, const std::string& host_key);

/// One line for known_hosts. @param public_line  "ssh-ed25519 AAAA… comment"
std::string known_host_line(const Record& record, const std::string& public_line);

/// STATE/ssh_config: one Include for each workspace. Written anew when a workspace comes or goes.
void write_ssh_index(const os::HostDirs& dirs);

/// Makes the person's ~/.ssh/config include STATE/ssh_config, as its first line, once. False when it does already.
/// @throws Error Denied and others of writing a file
bool include_ssh_index(const os::HostDirs& dirs, const std::filesystem::path& home);

}  // namespace slip::workspace
