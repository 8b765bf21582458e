#include "codec/ar.h"

#include <charconv>

#include "core/error.h"
#include "core/text.h"

namespace slip::codec {
namespace {

constexpr std::string_view kMagic = "!<arch>\n";
constexpr std::size_t kHeader = 60;
constexpr std::size_t kMaxMembers = 64;

[[noreturn]] void fail(const std::string& name, std::size_t at, const char* what) {
  throw Error(ErrorKind::Invalid, "{} at byte {}: {}", name, at, what);
}

}  // namespace

std::vector<ArMember> read_ar(ByteView archive, const std::string& name) {
  const std::string_view text = as_text(archive);
  if (!text.starts_with(kMagic)) {
    fail(name, 0, "not an ar archive");
  }
  std::vector<ArMember> members;
  std::size_t at = kMagic.size();
  while (at < text.size()) {
    if (text.size() - at < kHeader || text.substr(at + 58, 2) != "`\n") {
      fail(name, at, "a member's header is damaged");
    }
    std::string_view member = trim(text.substr(at, 16));
    if (member.ends_with('/')) {
      member.remove_suffix(1);
    }
    const std::string_view digits = trim(text.substr(at + 48, 10));
    std::uint64_t size = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), size);
    if (error != std::errc() || end != digits.data() + digits.size()) {
      fail(name, at, "a member's size is not a number");
    }
    at += kHeader;
    if (size > text.size() - at) {
      fail(name, at, "a member is longer than the archive");
    }
    if (members.size() == kMaxMembers) {
      fail(name, at, "too many members");
    }
    members.push_back({std::string(member), archive.subspan(at, static_cast<std::size_t>(size))});
    at += static_cast<std::size_t>(size + (size & 1));
  }
  return members;
}

}  // namespace slip::codec
