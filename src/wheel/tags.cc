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

/// 0 is the newest manylinux this glibc has; `any` comes last.
std::optional<unsigned> platform_rank(std::string_view platform, const TagTarget& target) {
  if (platform == "any") {
    return 100;
  }
  const auto minor = manylinux_minor(platform);
  if (!minor || (*minor > target.glibc_minor && target.glibc_major == 2)) {
    return std::nullopt;
  }
  return target.glibc_minor - *minor;
}

/// Python and ABI together. 0: cpXY-cpXY.
std::optional<unsigned> interpreter_rank(std::string_view python, std::string_view abi, const TagTarget& target) {
  if (python.starts_with("cp3")) {
    const auto minor = number(python.substr(3));
    if (!minor) {
      return std::nullopt;
    }
    if (*minor == target.minor && abi == python) {
      return 0;
    }
    if (abi == "abi3" && *minor <= target.minor) {
      return 1 + (target.minor - *minor);
    }
    if (abi == "none" && *minor == target.minor) {
      return 50;
    }
    return std::nullopt;
  }
  if (abi != "none" || !python.starts_with("py3")) {
    return std::nullopt;
  }
  if (python == "py3") {
    return 52;  // behind py3MINOR, before older minors
  }
  const auto minor = number(python.substr(3));
  if (!minor || *minor > target.minor) {
    return std::nullopt;
  }
  return *minor == target.minor ? 51 : 52 + (target.minor - *minor);
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
        const auto outer = interpreter_rank(python, abi, target);
        const auto inner = platform_rank(platform, target);
        if (outer && inner) {
          // Platform decides within one interpreter tag; for pure wheels it is always `any`.
          const unsigned rank = *outer * 1000 + *inner;
          best = best ? std::min(*best, rank) : rank;
        }
      }
    }
  }
  return best;
}

}  // namespace slip::wheel
