#include "core/debian_release.h"

#include <array>

namespace slip {
namespace {

constexpr std::array kReleases = {
    DebianRelease{"bullseye", "11", "3.9", true, false, "2026-08-31"},
    DebianRelease{"bookworm", "12", "3.11", true, true, "2028-06-30"},
    DebianRelease{"trixie", "13", "3.13", false, true, "2030-06-30"},
};

}  // namespace

std::span<const DebianRelease> debian_releases() { return kReleases; }

const DebianRelease* debian_release(std::string_view name) {
  for (const DebianRelease& release : kReleases) {
    if (release.name == name) {
      return &release;
    }
  }
  return nullptr;
}

const DebianRelease* debian_release_with_python(std::string_view python) {
  for (const DebianRelease& release : kReleases) {
    if (release.python == python) {
      return &release;
    }
  }
  return nullptr;
}

std::vector<std::string> debian_release_names() {
  std::vector<std::string> names;
  for (const DebianRelease& release : kReleases) {
    names.emplace_back(release.name);
  }
  return names;
}

}  // namespace slip
