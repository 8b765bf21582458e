#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serving/base/status.h"

namespace slip::serving {

struct TextMessage;

/// One field of a message in protobuf's text format: a scalar as written (strings without their quotes), or a message.
struct TextField {
  std::string name;
  std::string scalar;
  bool quoted = false;
  std::shared_ptr<TextMessage> message;  ///< set for `name { … }`
  int line = 0;
};

struct TextMessage {
  std::vector<TextField> fields;
};

/// Reads protobuf's text format without a schema: comments, both `name: {` and `name {`, `<>` as braces, lists in
/// brackets, adjacent strings, separators `,` and `;`.
/// @source protobuf.dev/reference/protobuf/textformat-spec
Result<TextMessage> read_text_format(std::string_view text);

/// Walks a message's fields with the checks every reader needs: an unknown field is an error that names its line.
class TextReader {
 public:
  /// @param type  of the message, for error texts: "tensorflow.serving.ModelServerConfig"
  TextReader(const TextMessage& message, std::string type) : message_(message), type_(std::move(type)) {}
  [[nodiscard]] const std::vector<TextField>& fields() const noexcept { return message_.fields; }
  [[nodiscard]] tl::unexpected<Failure> unknown(const TextField& field) const;
  Result<std::string> text(const TextField& field) const;
  Result<std::int64_t> number(const TextField& field) const;
  Result<bool> boolean(const TextField& field) const;
  Result<const TextMessage*> message(const TextField& field) const;

 private:
  [[nodiscard]] tl::unexpected<Failure> wrong(const TextField& field, const char* expected) const;

  const TextMessage& message_;
  std::string type_;
};

}  // namespace slip::serving
