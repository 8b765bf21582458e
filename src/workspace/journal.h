#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "os/fd.h"

namespace slip::workspace {

/// The records of a workspace as files: current.jsonl, then current.jsonl.1 (older) … .4. A file is put aside when it
/// has more than 8 MiB, always at the end of a line.
class Journal {
 public:
  explicit Journal(std::filesystem::path folder);
  /// Appends bytes as slipway-init wrote them; `each` sees every complete line. A full disk loses lines, never the
  /// workspace.
  void append(std::string_view bytes, const std::function<void(std::string_view)>& each);

 private:
  void write_line(std::string_view line);
  void open();
  void rotate();
  std::filesystem::path folder_;
  os::Fd file_;
  std::uint64_t size_ = 0;
  std::string rest_;
};

/// A record as people read it.
struct LogLine {
  std::string time;     ///< "2022-05-16T08:00:00.123Z"
  std::string service;  ///< "slipway-init" for its own events
  std::string stream;   ///< "stdout", "stderr" or "event"
  std::string text;
};
/// nullopt for what is no record of slipway-init
std::optional<LogLine> line_of(std::string_view record);

/// Reads the records of a workspace, oldest first.
class JournalReader {
 public:
  explicit JournalReader(std::filesystem::path folder) : folder_(std::move(folder)) {}
  /// Runs `each` over the complete lines that are new since the last call; the first call starts with the oldest file.
  void read(const std::function<void(std::string_view line)>& each);

 private:
  void drain(const std::function<void(std::string_view line)>& each);
  std::filesystem::path folder_;
  os::Fd file_;
  std::string rest_;
  bool started_ = false;
};

}  // namespace slip::workspace
