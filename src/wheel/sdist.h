#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace slip::wheel {

/// What an sdist says it is built with: `build-system.requires` of its pyproject.toml, else setuptools and wheel.
/// @throws Error Invalid
/// @source PEP 518
std::vector<std::string> build_requirements(const std::filesystem::path& sdist, const std::string& name);

}  // namespace slip::wheel
