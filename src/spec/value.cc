#include "spec/value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "core/debian_release.h"
#include "core/format.h"
#include "core/text.h"

namespace slip::spec {
namespace {

bool lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool digit(char c) { return c >= '0' && c <= '9'; }
bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool same_or_below(std::string_view path, std::string_view folder) {
  return path == folder || (path.starts_with(folder) && path.size() > folder.size() && path[folder.size()] == '/');
}

constexpr double kMost = 9e15;  // doubles and 64-bit integers agree on whole numbers up to here

/// "dddd-dd-dd" with month and day in their ranges.
bool is_date(std::string_view t) {
  if (t.size() != 10 || t[4] != '-' || t[7] != '-') {
    return false;
  }
  for (const std::size_t i : {0U, 1U, 2U, 3U, 5U, 6U, 8U, 9U}) {
    if (!digit(t[i])) {
      return false;
    }
  }
  const int month = (t[5] - '0') * 10 + (t[6] - '0');
  const int day = (t[8] - '0') * 10 + (t[9] - '0');
  return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

/// "dd:dd" below the limits.
bool is_clock(std::string_view t) {
  return t.size() == 5 && digit(t[0]) && digit(t[1]) && t[2] == ':' && digit(t[3]) && digit(t[4]) &&
         t.substr(0, 2) < "24" && t[3] < '6';
}

}  // namespace

std::optional<bool> flag_value(std::string_view text) {
  if (text == "true") {
    return true;
  }
  if (text == "false") {
    return false;
  }
  return std::nullopt;
}

std::optional<double> number_value(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc{} || end != text.data() + text.size() || !(value > 0 && value <= kMost)) {
    return std::nullopt;
  }
  return value;
}

std::optional<std::uint64_t> count_value(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value == 0) {
    return std::nullopt;
  }
  return value;
}

std::optional<std::uint64_t> size_value(std::string_view text) {
  const std::size_t unit_at = std::min(text.find_first_not_of("0123456789."), text.size());
  const auto number = number_value(text.substr(0, unit_at));
  if (!number) {
    return std::nullopt;
  }
  struct Unit {
    std::string_view name;
    double factor;
  };
  constexpr double k = 1000;
  constexpr double ki = 1024;
  constexpr std::array kUnits = {Unit{"", 1},
                                 Unit{"b", 1},
                                 Unit{"kb", k},
                                 Unit{"mb", k * k},
                                 Unit{"gb", k * k * k},
                                 Unit{"tb", k * k * k * k},
                                 Unit{"kib", ki},
                                 Unit{"mib", ki * ki},
                                 Unit{"gib", ki * ki * ki},
                                 Unit{"tib", ki * ki * ki * ki}};
  const std::string unit = to_lower(trim(text.substr(unit_at)));
  const auto found = std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& u) { return u.name == unit; });
  if (found == kUnits.end()) {
    return std::nullopt;
  }
  const double bytes = std::floor(*number * found->factor);
  if (bytes < 1 || bytes > kMost) {
    return std::nullopt;
  }
  return static_cast<std::uint64_t>(bytes);
}

bool valid_name(std::string_view text) {
  if (text.empty() || text.size() > 63 || !lower_or_digit(text.front()) || !lower_or_digit(text.back())) {
    return false;
  }
  for (std::size_t i = 1; i < text.size(); ++i) {
    const bool separator = text[i] == '-' || text[i] == '_' || text[i] == '.';
    if (!lower_or_digit(text[i]) && (!separator || !lower_or_digit(text[i - 1]))) {
      return false;
    }
  }
  return true;
}

bool valid_user(std::string_view text) {
  return !text.empty() && text.size() <= 32 && text != "root" &&
         ((text[0] >= 'a' && text[0] <= 'z') || text[0] == '_') &&
         std::all_of(text.begin(), text.end(), [](char c) { return lower_or_digit(c) || c == '_' || c == '-'; });
}

bool valid_env_name(std::string_view text) {
  return !text.empty() && !digit(text[0]) &&
         std::all_of(text.begin(), text.end(), [](char c) { return letter(c) || digit(c) || c == '_'; });
}

bool valid_apt(std::string_view text) {
  const std::size_t equals = text.find('=');
  const std::string_view name = text.substr(0, equals);
  if (name.size() < 2 || !lower_or_digit(name[0]) || !std::all_of(name.begin(), name.end(), [](char c) {
        return lower_or_digit(c) || c == '+' || c == '-' || c == '.';
      })) {
    return false;
  }
  if (equals == std::string_view::npos) {
    return true;
  }
  const std::string_view version = text.substr(equals + 1);
  return !version.empty() && digit(version[0]) && std::all_of(version.begin(), version.end(), [](char c) {
    return letter(c) || digit(c) || c == '.' || c == '+' || c == '-' || c == '~' || c == ':';
  });
}

std::optional<std::string> time_value(std::string_view text) {
  if (is_date(text)) {
    return std::string(text) + "T00:00:00Z";
  }
  // dddd-dd-ddTdd:dd:dd[.d…](Z|±dd:dd)
  if (text.size() < 20 || !is_date(text.substr(0, 10)) || (text[10] != 'T' && text[10] != 't' && text[10] != ' ') ||
      !is_clock(text.substr(11, 5)) || text[16] != ':' || !digit(text[17]) || !digit(text[18]) || text[17] > '6') {
    return std::nullopt;
  }
  std::size_t at = 19;
  if (text[at] == '.') {
    const std::size_t end = text.find_first_not_of("0123456789", at + 1);
    if (end == std::string_view::npos || end == at + 1) {
      return std::nullopt;
    }
    at = end;
  }
  const std::string_view zone = text.substr(at);
  const bool utc = zone == "Z" || zone == "z";
  if (!utc && !(zone.size() == 6 && (zone[0] == '+' || zone[0] == '-') && is_clock(zone.substr(1)))) {
    return std::nullopt;
  }
  std::string out(text);
  out[10] = 'T';
  if (utc) {
    out.back() = 'Z';
  }
  return out;
}

std::string tidy_path(std::string_view path) {
  std::string out;
  for (const std::string_view part : split(path, '/')) {
    if (!part.empty()) {
      out += '/';
      out += part;
    }
  }
  return out.empty() ? "/" : out;
}

std::string target_fault(std::string_view target) {
  if (!target.starts_with('/')) {
    return "is not absolute";
  }
  for (const std::string_view part : split(target, '/')) {
    if (part == "." || part == "..") {
      return "must not hold `.` or `..`";
    }
    if (part.size() > 255) {
      return "has a name longer than 255 bytes";
    }
  }
  if (target.size() > 1024) {
    return "is longer than 1024 bytes";
  }
  if (printable(target) != target) {
    return "holds bytes that are no text";
  }
  const std::string tidy = tidy_path(target);
  if (tidy == "/") {
    return "is the root itself";
  }
  for (const std::string_view folder : {"/proc", "/sys", "/dev", "/run"}) {
    if (same_or_below(tidy, folder)) {
      return format("lies in {}, which the system fills when it starts", folder);
    }
  }
  return {};
}

std::string mount_fault(std::string_view target) {
  if (std::string fault = target_fault(target); !fault.empty()) {
    return fault;
  }
  const std::string tidy = tidy_path(target);
  for (const std::string_view folder : {"/bin", "/boot", "/etc", "/lib", "/lib64", "/sbin"}) {
    if (same_or_below(tidy, folder)) {
      return format("lies in {}, which belongs to the system", folder);
    }
  }
  for (const std::string_view folder : {"/home", "/opt", "/opt/venv", "/root", "/tmp", "/usr", "/usr/bin", "/usr/lib",
                                        "/usr/local", "/usr/sbin", "/usr/share", "/var", "/var/lib"}) {
    if (tidy == folder) {
      return "would hide a folder of the system";
    }
  }
  return {};
}

std::string known_interpreters() {
  std::string all;
  for (const DebianRelease& release : debian_releases()) {
    all += format("{}{} ({})", all.empty() ? "" : ", ", release.python, release.name);
  }
  return all;
}

}  // namespace slip::spec
