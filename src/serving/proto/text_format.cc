#include "serving/proto/text_format.h"

#include <charconv>

#include "core/format.h"

namespace slip::serving {
namespace {

constexpr int kMaxDepth = 32;

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}
  Result<TextMessage> read() {
    TextMessage message;
    if (!fields(message, '\0', 0)) {
      return invalid(format("line {}: {}", line_, error_));
    }
    return message;
  }

 private:
  char peek() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '#') {
        while (at_ < text_.size() && text_[at_] != '\n') {
          ++at_;
        }
      } else if (c == '\n') {
        ++line_;
        ++at_;
      } else if (c == ' ' || c == '\t' || c == '\r') {
        ++at_;
      } else {
        return c;
      }
    }
    return '\0';
  }
  bool fail(std::string what) {
    if (error_.empty()) {
      error_ = std::move(what);
    }
    return false;
  }
  static bool is_word(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-' || c == '+';
  }
  std::string word() {
    const std::size_t start = at_;
    while (at_ < text_.size() && is_word(text_[at_])) {
      ++at_;
    }
    return std::string(text_.substr(start, at_ - start));
  }

  bool fields(TextMessage& into, char closing, int depth) {
    if (depth > kMaxDepth) {
      return fail("messages are nested too deeply");
    }
    while (true) {
      const char c = peek();
      if (c == closing) {
        at_ += closing == '\0' ? 0 : 1;
        return true;
      }
      if (c == '\0') {
        return fail("the text ends inside a message");
      }
      TextField field;
      field.line = line_;
      field.name = word();
      if (field.name.empty()) {
        return fail("expected a field name");
      }
      const bool colon = peek() == ':';
      at_ += colon ? 1 : 0;
      if (!values(into, field, colon, depth)) {
        return false;
      }
      if (peek() == ',' || peek() == ';') {
        ++at_;
      }
    }
  }
  bool values(TextMessage& into, const TextField& field, bool colon, int depth) {
    if (peek() != '[') {
      return value(into, field, colon, depth);
    }
    ++at_;
    while (peek() != ']') {
      if (!value(into, field, colon, depth)) {
        return false;
      }
      if (peek() == ',') {
        ++at_;
      } else if (peek() != ']') {
        return fail("expected `,` or `]` in a list");
      }
    }
    ++at_;
    return true;
  }
  bool value(TextMessage& into, TextField field, bool colon, int depth) {
    const char c = peek();
    if (c == '{' || c == '<') {
      ++at_;
      field.message = std::make_shared<TextMessage>();
      if (!fields(*field.message, c == '{' ? '}' : '>', depth + 1)) {
        return false;
      }
    } else if (!colon) {
      return fail(format("expected `:` or `{{` behind `{}`", field.name));
    } else if (c == '"' || c == '\'') {
      field.quoted = true;
      while (peek() == '"' || peek() == '\'') {
        if (!quoted(field.scalar)) {
          return false;
        }
      }
    } else {
      field.scalar = word();
      if (field.scalar.empty()) {
        return fail(format("expected a value for `{}`", field.name));
      }
    }
    into.fields.push_back(std::move(field));
    return true;
  }
  bool quoted(std::string& out) {
    const char quote = text_[at_++];
    while (at_ < text_.size() && text_[at_] != quote) {
      const char c = text_[at_++];
      if (c == '\n') {
        return fail("a string does not end on its line");
      }
      if (c != '\\') {
        out.push_back(c);
      } else if (!escape(out)) {
        return false;
      }
    }
    if (at_ == text_.size()) {
      return fail("a string has no end");
    }
    ++at_;
    return true;
  }
  bool escape(std::string& out) {
    if (at_ == text_.size()) {
      return fail("a string has no end");
    }
    const char c = text_[at_++];
    switch (c) {
      case 'n': out.push_back('\n'); return true;
      case 'r': out.push_back('\r'); return true;
      case 't': out.push_back('\t'); return true;
      case '\\':
      case '"':
      case '\'': out.push_back(c); return true;
      default: break;
    }
    const bool hex = c == 'x';
    const std::size_t start = hex ? at_ : at_ - 1;
    unsigned code = 0;
    const std::string_view digits = text_.substr(start, hex ? 2 : 3);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), code, hex ? 16 : 8);
    if (error != std::errc{} || code > 255) {
      return fail("unknown escape in a string");
    }
    at_ = start + static_cast<std::size_t>(end - digits.data());
    out.push_back(static_cast<char>(code));
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int line_ = 1;
  std::string error_;
};

}  // namespace

Result<TextMessage> read_text_format(std::string_view text) { return Parser(text).read(); }

tl::unexpected<Failure> TextReader::unknown(const TextField& field) const {
  return invalid(format("line {}: message type \"{}\" has no field named \"{}\"", field.line, type_, field.name));
}

tl::unexpected<Failure> TextReader::wrong(const TextField& field, const char* expected) const {
  return invalid(format("line {}: expected {} for \"{}\" of \"{}\"", field.line, expected, field.name, type_));
}

Result<std::string> TextReader::text(const TextField& field) const {
  return field.quoted ? Result<std::string>(field.scalar) : wrong(field, "a string");
}

Result<std::int64_t> TextReader::number(const TextField& field) const {
  std::int64_t value = 0;
  const char* end = field.scalar.data() + field.scalar.size();
  const auto [stop, error] = std::from_chars(field.scalar.data(), end, value);
  if (field.message || field.quoted || error != std::errc{} || stop != end) {
    return wrong(field, "an integer");
  }
  return value;
}

Result<bool> TextReader::boolean(const TextField& field) const {
  const std::string& s = field.scalar;
  if (field.message || field.quoted ||
      (s != "true" && s != "false" && s != "1" && s != "0" && s != "t" && s != "f" && s != "True" && s != "False")) {
    return wrong(field, "true or false");
  }
  return s == "true" || s == "1" || s == "t" || s == "True";
}

Result<const TextMessage*> TextReader::message(const TextField& field) const {
  return field.message ? Result<const TextMessage*>(field.message.get()) : wrong(field, "a message");
}

}  // namespace slip::serving
