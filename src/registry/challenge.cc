#include "registry/challenge.h"

#include "core/text.h"

namespace slip::registry {
namespace {

constexpr std::size_t kMostChallenges = 16;
constexpr std::size_t kMostParams = 32;

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  [[nodiscard]] bool at_end() const { return at_ >= text_.size(); }
  void skip(std::string_view chars) {
    while (!at_end() && chars.find(text_[at_]) != std::string_view::npos) {
      ++at_;
    }
  }
  bool take(char c) {
    if (at_end() || text_[at_] != c) {
      return false;
    }
    ++at_;
    return true;
  }
  std::string_view token() {
    const std::size_t begin = at_;
    constexpr std::string_view kOther = "!#$%&'*+-.^_`|~/:";  // "/" and ":" are none of RFC 9110's, but are sent
    while (!at_end() && (is_alnum(text_[at_]) || kOther.find(text_[at_]) != std::string_view::npos)) {
      ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }
  /// False for a string without its end.
  bool value(std::string& into) {
    if (!take('"')) {
      into = token();
      skip("=");  // token68's padding
      return true;
    }
    while (!at_end() && text_[at_] != '"') {
      at_ += text_[at_] == '\\' && at_ + 1 < text_.size() ? 1 : 0;
      into += text_[at_++];
    }
    return take('"');
  }
  [[nodiscard]] std::size_t place() const { return at_; }
  void back_to(std::size_t place) { at_ = place; }

 private:
  static bool is_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
  std::string_view text_;
  std::size_t at_ = 0;
};

/// Reads "name=value" when that is what follows.
bool take_param(Reader& reader, Challenge& challenge) {
  const std::size_t before = reader.place();
  const std::string name = to_lower(reader.token());
  reader.skip(" \t");
  if (name.empty() || !reader.take('=')) {
    reader.back_to(before);
    return false;
  }
  reader.skip(" \t");
  std::string value;
  if (!reader.value(value)) {
    return false;
  }
  challenge.params[name] = std::move(value);
  return true;
}

}  // namespace

std::vector<Challenge> parse_challenges(std::string_view field) {
  std::vector<Challenge> found;
  Reader reader(field);
  while (found.size() < kMostChallenges) {
    reader.skip(" \t,");
    Challenge challenge;
    challenge.scheme = to_lower(reader.token());
    if (challenge.scheme.empty()) {
      break;
    }
    do {
      reader.skip(" \t,");
    } while (challenge.params.size() < kMostParams && take_param(reader, challenge));
    found.push_back(std::move(challenge));
  }
  return found;
}

}  // namespace slip::registry
