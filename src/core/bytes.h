#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace slip {

/// Bytes somebody else owns, valid for the duration of the call unless said otherwise.
using ByteView = std::span<const std::uint8_t>;
using Bytes = std::vector<std::uint8_t>;

inline ByteView as_bytes(std::string_view s) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}
inline std::string_view as_text(ByteView b) noexcept { return {reinterpret_cast<const char*>(b.data()), b.size()}; }

/// Where bytes go. write() takes all of them or throws.
class Sink {
 public:
  Sink() = default;
  Sink(const Sink&) = delete;
  Sink& operator=(const Sink&) = delete;
  virtual ~Sink() = default;
  virtual void write(ByteView bytes) = 0;
};

/// Where bytes come from.
class Source {
 public:
  Source() = default;
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;
  virtual ~Source() = default;
  /// Fills as much of `into` as is at hand, at least one byte; 0 means the end.
  virtual std::size_t read(std::span<std::uint8_t> into) = 0;
};

/// Collects what is written.
class BytesSink final : public Sink {
 public:
  void write(ByteView bytes) override { data.insert(data.end(), bytes.begin(), bytes.end()); }
  Bytes data;
};

/// Passes bytes on to several sinks in order. The sinks must outlive it.
class TeeSink final : public Sink {
 public:
  TeeSink(Sink& a, Sink& b) : a_(a), b_(b) {}
  void write(ByteView bytes) override {
    a_.write(bytes);
    b_.write(bytes);
  }

 private:
  Sink& a_;
  Sink& b_;
};

/// Forgets what is written.
class NullSink final : public Sink {
 public:
  void write(ByteView) override {}
};

/// Reads from memory that must outlive it.
class MemorySource final : public Source {
 public:
  explicit MemorySource(ByteView data) : data_(data) {}
  std::size_t read(std::span<std::uint8_t> into) override;

 private:
  ByteView data_;
};

/// Reads exactly `into.size()` bytes, or fewer only at the end; returns how many.
std::size_t read_full(Source& from, std::span<std::uint8_t> into);
/// Moves everything; returns the number of bytes.
std::uint64_t copy_all(Source& from, Sink& to);

}  // namespace slip
