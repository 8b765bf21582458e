#pragma once

#include "init/text.h"

namespace slip::init {

/// What waits to be written to our stdout: whole lines in a ring of fixed size. A reader that is slow or gone never
/// makes us wait; lines for which there is no room are counted.
class Output {
 public:
  /// Writes to `fd`, which is made non-blocking (a new description of the same pipe, file or terminal where the system
  /// allows that, so that nobody else who has it is affected).
  void open(int fd);
  [[nodiscard]] int fd() const { return fd_; }
  /// A line of a service; false when there is no room: it counts as dropped.
  bool line(Text whole_line) { return append(whole_line, room()); }
  /// A line of our own, for which some room is always kept.
  bool event(Text whole_line) { return append(whole_line, kRoom - size_); }
  /// Writes as much as the reader takes now.
  void flush();
  [[nodiscard]] bool empty() const { return size_ == 0; }
  /// Bytes for lines of services.
  [[nodiscard]] size_t room() const { return size_ + kReserve < kRoom ? kRoom - kReserve - size_ : 0; }
  /// More than half is free.
  [[nodiscard]] bool relaxed() const { return size_ <= kRoom / 2; }
  /// The reader has closed its end: everything is dropped from now on.
  [[nodiscard]] bool gone() const { return gone_; }
  /// Lines dropped since the last call.
  uint64_t take_dropped();

 private:
  static constexpr size_t kRoom = size_t{512} * 1024;
  static constexpr size_t kReserve = size_t{16} * 1024;

  bool append(Text whole_line, size_t room);

  int fd_ = 1;
  size_t begin_ = 0;
  size_t size_ = 0;
  uint64_t dropped_ = 0;
  bool gone_ = false;
  char ring_[kRoom];
};

/// The longest piece of a service's line that becomes one record; longer lines are split.
constexpr size_t kMostLine = size_t{16} * 1024;

/// Cuts what a service writes into lines, and writes each as a record:
/// {"ts":"2026-11-24T10:00:00.123456Z","service":"jupyter","stream":"stdout","line":"…","partial":false}
/// `partial`: the line goes on in the next record.
class LineSplitter {
 public:
  /// @param keep  kMostLine bytes for the beginning of a line; touched only when a line comes in pieces
  void begin(const char* service, const char* stream, char* keep) {
    service_ = service;
    stream_ = stream;
    keep_ = keep;
    kept_ = 0;
  }
  void feed(Text bytes, Output& out);
  /// Most bytes of input whose records surely fit into `room`: all of them could be newlines.
  [[nodiscard]] size_t fits(size_t room) const { return room / (kOverhead + strlen(service_)); }
  /// The stream has ended: what is left is a line without its newline.
  void finish(Output& out);

 private:
  static constexpr size_t kOverhead = 112;  ///< of a record, without the service's name
  void emit(Text line, bool partial, Output& out) const;
  const char* service_ = "";
  const char* stream_ = "";
  size_t kept_ = 0;
  char* keep_ = nullptr;
};

/// Appends the time now as "2026-11-24T10:00:00.123456Z".
void write_time(Writer& out);

}  // namespace slip::init
