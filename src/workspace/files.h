#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "workspace/record.h"

namespace slip::workspace {

/// What the host gives every workspace.
struct HostFiles {
  std::filesystem::path home;       ///< of the person: whose ~/.ssh/*.pub may log in; empty: nobody's
  std::vector<std::string> index;   ///< simple-index URLs for pip, the default one first; empty: pip's own
  std::string ca_file;              ///< PEM bundle that pip trusts; empty: its own
};

/// Brings the folder of a workspace into the state that its record wants: secrets that are not there yet are made, those
/// that are stay; the home is seeded from the image once. Safe to run while the workspace runs.
/// @param root  the image's merged root
void write_files(const Record& record, const Folder& folder, const std::filesystem::path& root, const HostFiles& host);

/// Sets or (empty) takes away the password of Jupyter. It counts once Jupyter starts again.
void set_password(const Folder& folder, std::string_view password);

}  // namespace slip::workspace
