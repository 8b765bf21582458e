#include "wheel/tags.h"

#include <algorithm>
#include <charconv>

#include "core/text.h"

namespace slip::wheel {
namespace {

std::optional<unsigned> number(std::string_view text) {
  unsigned value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

/// The glibc minor that a platform tag asks for; 0 for plain linux. nullopt: another platform.
std::optional<unsigned> manylinux_minor(std::string_view platform) {
  if (platform == "manylinux1_x86_64") {
    return 5;
  }
  if (platform == "manylinux2010_x86_64") {
    return 12;
  }
  if (platform == "manylinux2014_x86_64") {
    return 17;
  }
  constexpr std::string_view kFront = "manylinux_2_";
  constexpr std::string_view kBack = "_x86_64";
  if (platform.starts_with(kFront) && platform.ends_with(kBack) && platform.size() > kFront.size() + kBack.size()) {
    return number(platform.substr(kFront.size(), platform.size() - kFront.size() - kBack.size()));
  }
  return platform == "linux_x86_64" ? std::optional(0U) : std::nullopt;
}

/// 0 is the newest manylinux this glibc has, or `any`.
std::optional<unsigned> platform_rank(std::string_view platform, const TagTarget& target) {
  if (platform == "any") {
    return 0;
  }
  const auto minor = manylinux_minor(platform);
  if (!minor || (*minor > target.glibc_minor && target.glibc_major == 2)) {
    return std::nullopt;
  }
  return target.glibc_minor - *minor;
}

// How installers order the tags of CPython 3.MINOR, best first. Within a group of native wheels the platform decides.
constexpr unsigned kOwnAbi = 0;        // cp39-cp39-PLATFORM
constexpr unsigned kOwnAbi3 = 1;       // cp39-abi3-PLATFORM
constexpr unsigned kOwnNoAbi = 2;      // cp39-none-PLATFORM
constexpr unsigned kOlderAbi3 = 3;     // cp38-abi3-PLATFORM, cp37-…
constexpr unsigned kPurePython = 100;  // py39-none-PLATFORM, py3-…, py38-…
constexpr unsigned kOwnAny = 200;      // cp39-none-any
constexpr unsigned kAny = 201;         // py39-none-any, py3-…, py38-…

/// Behind kPurePython or kAny: the own version, then "py3", then older ones.
std::optional<unsigned> generic_rank(std::string_view python, const TagTarget& target) {
  if (python == "py3") {
    return 1;
  }
  const auto minor = python.starts_with("py3") ? number(python.substr(3)) : std::nullopt;
  if (!minor || *minor > target.minor) {
    return std::nullopt;
  }
  return *minor == target.minor ? 0 : 1 + (target.minor - *minor);
}

/// The group of a tag; `any` is the platform of wheels without native code.
std::optional<unsigned> group_rank(std::string_view python, std::string_view abi, bool any, const TagTarget& target) {
  if (python.starts_with("cp3")) {
    const auto minor = number(python.substr(3));
    const bool own = minor && *minor == target.minor;
    if (own && abi == "none") {
      return any ? kOwnAny : kOwnNoAbi;
    }
    if (any || !minor) {
      return std::nullopt;
    }
    if (own && abi == python) {
      return kOwnAbi;
    }
    if (abi == "abi3" && *minor >= 2 && *minor <= target.minor) {
      return own ? kOwnAbi3 : kOlderAbi3 + (target.minor - *minor);
    }
    return std::nullopt;
  }
  const auto rank = abi == "none" ? generic_rank(python, target) : std::nullopt;
  return rank ? std::optional((any ? kAny : kPurePython) + *rank) : std::nullopt;
}

}  // namespace

TagTarget tag_target(std::string_view python, std::string_view glibc) {
  TagTarget target;
  const auto p = release_numbers(python);
  const auto g = release_numbers(glibc);
  target.minor = p.size() > 1 ? p[1] : target.minor;
  target.glibc_major = !g.empty() ? g[0] : target.glibc_major;
  target.glibc_minor = g.size() > 1 ? g[1] : target.glibc_minor;
  return target;
}

std::optional<unsigned> tag_rank(const WheelName& wheel, const TagTarget& target) {
  std::optional<unsigned> best;
  for (const std::string& python : wheel.pythons) {
    for (const std::string& abi : wheel.abis) {
      for (const std::string& platform : wheel.platforms) {
        const auto outer = group_rank(python, abi, platform == "any", target);
        const auto inner = platform_rank(platform, target);
        if (outer && inner) {
          const unsigned rank = *outer * 1000 + *inner;
          best = best ? std::min(*best, rank) : rank;
        }
      }
    }
  }
  return best;
}

}  // namespace slip::wheel
