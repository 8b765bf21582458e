#include "wheel/name.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>

#include "core/text.h"

namespace slip::wheel {
namespace {

bool alnum(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

std::vector<std::string> parts(std::string_view text) {
  std::vector<std::string> all;
  for (const std::string_view part : split(text, '.')) {
    all.emplace_back(part);
  }
  return all;
}

}  // namespace

std::string normalise(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == '-' || c == '_' || c == '.') {
      if (!out.empty() && out.back() != '-') {
        out += '-';
      }
    } else {
      out += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
  }
  return out;
}

std::optional<WheelName> parse_wheel_name(std::string_view file) {
  if (!file.ends_with(".whl") || file.find('/') != std::string_view::npos) {
    return std::nullopt;
  }
  file.remove_suffix(4);
  const auto fields = split(file, '-');
  if ((fields.size() != 5 && fields.size() != 6) ||
      std::any_of(fields.begin(), fields.end(), [](auto f) { return f.empty(); })) {
    return std::nullopt;
  }
  WheelName wheel;
  wheel.name = normalise(fields[0]);
  wheel.version = std::string(fields[1]);
  if (fields.size() == 6) {
    const std::string_view build = fields[2];
    const auto [rest, fault] = std::from_chars(build.data(), build.data() + build.size(), wheel.build.first);
    if (fault == std::errc::invalid_argument) {
      return std::nullopt;
    }
    if (fault == std::errc::result_out_of_range) {
      wheel.build.first = std::numeric_limits<std::uint64_t>::max();
    }
    wheel.build.second = std::string(rest, build.data() + build.size());
  }
  const std::size_t tags = fields.size() - 3;
  wheel.pythons = parts(fields[tags]);
  wheel.abis = parts(fields[tags + 1]);
  wheel.platforms = parts(fields[tags + 2]);
  return wheel;
}

std::optional<SdistName> parse_sdist_name(std::string_view file) {
  if (file.find('/') != std::string_view::npos || file.find('\0') != std::string_view::npos) {
    return std::nullopt;  // it becomes a path on this host
  }
  for (const std::string_view ending : {".tar.gz", ".zip"}) {
    if (file.ends_with(ending)) {
      file.remove_suffix(ending.size());
      // The version begins behind the last dash that a digit follows.
      for (std::size_t dash = file.rfind('-'); dash != std::string_view::npos && dash > 0;
           dash = file.rfind('-', dash - 1)) {
        if (dash + 1 < file.size() && std::isdigit(static_cast<unsigned char>(file[dash + 1])) != 0) {
          return SdistName{normalise(file.substr(0, dash)), std::string(file.substr(dash + 1))};
        }
      }
      return std::nullopt;
    }
  }
  return std::nullopt;
}

std::string requirement_name(std::string_view requirement) {
  requirement = trim(requirement);
  std::size_t end = 0;
  while (end < requirement.size() &&
         (alnum(requirement[end]) || requirement[end] == '-' || requirement[end] == '_' || requirement[end] == '.')) {
    ++end;
  }
  return normalise(requirement.substr(0, end));
}

std::vector<unsigned> release_numbers(std::string_view version) {
  std::vector<unsigned> numbers;
  std::size_t i = version.starts_with('v') ? 1 : 0;
  while (i < version.size() && std::isdigit(static_cast<unsigned char>(version[i])) != 0) {
    unsigned value = 0;
    while (i < version.size() && std::isdigit(static_cast<unsigned char>(version[i])) != 0) {
      value = value * 10 + static_cast<unsigned>(version[i++] - '0');
    }
    numbers.push_back(value);
    if (i >= version.size() || (version[i] != '.' && version[i] != '!')) {
      break;
    }
    ++i;
  }
  return numbers;
}

int compare_release(std::string_view a, std::string_view b) {
  std::vector<unsigned> left = release_numbers(a);
  std::vector<unsigned> right = release_numbers(b);
  left.resize(std::max(left.size(), right.size()));
  right.resize(left.size());
  return left < right ? -1 : left == right ? 0 : 1;
}

bool same_version(std::string_view a, std::string_view b) {
  const auto canonical = [](std::string_view version) {
    std::string rest;
    std::size_t i = 0;
    while (i < version.size() && (std::isdigit(static_cast<unsigned char>(version[i])) != 0 || version[i] == '.')) {
      ++i;
    }
    for (const char c : version.substr(i)) {
      if (alnum(c) || c == '+') {
        rest += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      }
    }
    return rest;
  };
  return compare_release(a, b) == 0 && canonical(a) == canonical(b);
}

}  // namespace slip::wheel
