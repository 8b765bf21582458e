#include "deb/changelog.h"

#include <algorithm>
#include <set>

#include "codec/ar.h"
#include "codec/compress.h"
#include "codec/tar.h"
#include "core/error.h"
#include "core/text.h"
#include "deb/archive.h"
#include "deb/version.h"
#include "os/file.h"

namespace slip::deb {
namespace {

constexpr std::uint64_t kMaxFile = 16u << 20;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Adds every "CVE-2024-12345" of a line.
void add_cves(std::string_view line, std::set<std::string>& found) {
  constexpr std::string_view kPrefix = "CVE-";
  for (std::size_t at = line.find(kPrefix); at != std::string_view::npos; at = line.find(kPrefix, at + 1)) {
    std::size_t end = at + kPrefix.size();
    std::size_t year = 0;
    while (end < line.size() && is_digit(line[end]) && year < 5) {
      ++end;
      ++year;
    }
    if (year != 4 || end >= line.size() || line[end] != '-') {
      continue;
    }
    const std::size_t number = ++end;
    while (end < line.size() && is_digit(line[end])) {
      ++end;
    }
    if (end - number >= 4 && end - number <= 9) {
      found.emplace(line.substr(at, end - at));
    }
  }
}

/// The version of an entry's first line, "openssl (3.0.15-1) bookworm; urgency=medium"; empty for other lines.
std::string_view version_of_head(std::string_view line) {
  if (line.empty() || line.front() == ' ' || line.front() == '\t') {
    return {};
  }
  const std::size_t open = line.find(" (");
  const std::size_t close = line.find(')', open == std::string_view::npos ? 0 : open);
  const std::size_t semicolon = line.find(';');
  if (open == std::string_view::npos || close == std::string_view::npos || semicolon == std::string_view::npos ||
      close > semicolon) {
    return {};
  }
  return line.substr(open + 2, close - open - 2);
}

}  // namespace

std::vector<std::string> cves_since(std::string_view changelog, std::string_view since) {
  std::set<std::string> found;
  bool inside = false;
  for (const std::string_view line : split(changelog, '\n')) {
    if (const std::string_view version = version_of_head(line); !version.empty()) {
      if (compare_versions(version, since) <= 0) {
        break;  // entries stand newest first
      }
      inside = true;
    }
    if (inside) {
      add_cves(line, found);
    }
  }
  return {found.begin(), found.end()};
}

std::optional<std::string> read_from_deb(const std::filesystem::path& deb_file, std::string_view tail) {
  const std::string name = deb_file.filename().string();
  const os::Mapping mapping(deb_file);
  for (const codec::ArMember& member : codec::read_ar(mapping.bytes(), name)) {
    if (!member.name.starts_with("data.tar")) {
      continue;
    }
    MemorySource packed(member.bytes);
    const std::unique_ptr<Source> plain = codec::open_compressed(packed, name);
    codec::TarReader tar(*plain, kDataLimits);
    while (const auto entry = tar.next()) {
      if (entry->type != codec::FileType::Regular || !entry->path.ends_with(tail) || entry->size > kMaxFile) {
        continue;
      }
      const std::unique_ptr<Source> content = codec::open_compressed(tar.content(), name + "/" + entry->path);
      std::string text;
      std::array<std::uint8_t, 64 * 1024> block{};
      while (const std::size_t count = content->read(block)) {
        if (text.size() + count > kMaxFile) {
          throw Error(ErrorKind::Invalid, "`{}` of `{}` is larger than {}", printable(entry->path), name,
                      human_size(kMaxFile));
        }
        text.append(reinterpret_cast<const char*>(block.data()), count);
      }
      return text;
    }
  }
  return std::nullopt;
}

std::optional<std::string> changelog_of(const std::filesystem::path& deb_file) {
  auto text = read_from_deb(deb_file, "/changelog.Debian.gz");
  return text ? text : read_from_deb(deb_file, "/changelog.gz");
}

}  // namespace slip::deb
