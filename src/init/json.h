#pragma once

#include "init/text.h"

namespace slip::init {

/// Reads JSON (RFC 8259) from front to back; whoever calls says what is expected next. The first failure stays: from
/// then on everything is refused, so that callers need to look only where they would loop.
class JsonReader {
 public:
  /// Strings go into the `room` bytes at `arena`, each with a zero behind it.
  JsonReader(Text json, char* arena, size_t room) : json_(json), arena_(arena), room_(room) {}

  /// Begins an object or array. Then next_key() or next_item() until false.
  void open(char bracket);
  /// Moves to the next member and reads its key; false behind the last one.
  bool next_key(Text& key);
  bool next_item();
  /// A string without zero bytes.
  const char* string(Text* text = nullptr);
  uint64_t number(uint64_t most);
  bool boolean();
  /// Nothing but white space may follow.
  void end();

  /// Refuses at the place of the value or key that was read last.
  void fail(const char* reason, Text detail = {});
  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] const char* reason() const { return reason_; }
  [[nodiscard]] size_t place() const { return place_; }
  [[nodiscard]] size_t arena_used() const { return used_; }

 private:
  void skip_space();
  [[nodiscard]] char peek() const { return at_ < json_.size ? json_[at_] : '\0'; }
  bool next(char closing);
  bool escape();
  bool code_point(uint32_t& value);
  void keep(char byte);
  void keep_utf8(uint32_t value);

  Text json_;
  char* arena_;
  size_t room_;
  size_t used_ = 0;
  size_t at_ = 0;
  size_t place_ = 0;
  bool first_ = false;  ///< no member of the innermost object or array was read yet
  bool failed_ = false;
  char reason_[200] = "";
};

}  // namespace slip::init
