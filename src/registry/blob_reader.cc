#include "registry/blob_reader.h"

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>

#include "core/error.h"
#include "os/file.h"

namespace slip::registry {
namespace {

class FileReader final : public BlobReader {
 public:
  explicit FileReader(const oci::LayerSource& source)
      : fd_(os::open_read(source.file)), size_(source.descriptor.size), name_(source.file.string()) {
    seek(0);
  }
  void seek(std::uint64_t offset) override {
    range_ = std::make_unique<os::RangeSource>(fd_.get(), offset, size_ - std::min(size_, offset), name_);
  }
  std::size_t read(std::span<std::uint8_t> into) override { return range_->read(into); }

 private:
  os::Fd fd_;
  std::uint64_t size_;
  std::string name_;
  std::unique_ptr<os::RangeSource> range_;
};

/// Turns a producer that pushes into one that is read from.
class ProducedReader final : public BlobReader {
 public:
  explicit ProducedReader(std::function<void(Sink&)> produce) : produce_(std::move(produce)) { start(); }
  ProducedReader(const ProducedReader&) = delete;
  ProducedReader& operator=(const ProducedReader&) = delete;
  ~ProducedReader() override { stop(); }

  void seek(std::uint64_t offset) override {
    if (offset < position_) {
      stop();
      start();
    }
    Bytes skipped(256u << 10);
    while (position_ < offset) {
      const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(skipped.size(), offset - position_));
      if (read({skipped.data(), wanted}) == 0) {
        throw Error(ErrorKind::Corrupt, "a layer ended after {} bytes", position_);
      }
    }
  }

  std::size_t read(std::span<std::uint8_t> into) override {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !pieces_.empty() || finished_; });
    if (pieces_.empty()) {
      if (failure_) {
        std::rethrow_exception(failure_);
      }
      return 0;
    }
    Bytes& piece = pieces_.front();
    const std::size_t count = std::min(into.size(), piece.size() - used_);
    std::memcpy(into.data(), piece.data() + used_, count);
    used_ += count;
    position_ += count;
    if (used_ == piece.size()) {
      waiting_ -= piece.size();
      pieces_.pop_front();
      used_ = 0;
      changed_.notify_all();
    }
    return count;
  }

 private:
  static constexpr std::size_t kAhead = 4u << 20;  // bytes made before they are wanted
  struct Stopped {};

  class Queue final : public Sink {
   public:
    explicit Queue(ProducedReader& reader) : reader_(reader) {}
    void write(ByteView bytes) override {
      constexpr std::size_t kPiece = 1u << 20;
      while (!bytes.empty()) {
        reader_.put(bytes.first(std::min(bytes.size(), kPiece)));
        bytes = bytes.subspan(std::min(bytes.size(), kPiece));
      }
    }

   private:
    ProducedReader& reader_;
  };

  void put(ByteView bytes) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_ < kAhead || stopping_; });
    if (stopping_) {
      throw Stopped{};
    }
    pieces_.emplace_back(bytes.begin(), bytes.end());
    waiting_ += bytes.size();
    changed_.notify_all();
  }

  void start() {
    pieces_.clear();
    used_ = waiting_ = 0;
    position_ = 0;
    finished_ = stopping_ = false;
    failure_ = nullptr;
    thread_ = std::thread([this] {
      std::exception_ptr failure;
      try {
        Queue queue(*this);
        produce_(queue);
      } catch (const Stopped&) {
      } catch (...) {
        failure = std::current_exception();
      }
      const std::lock_guard lock(mutex_);
      failure_ = failure;
      finished_ = true;
      changed_.notify_all();
    });
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      changed_.notify_all();
    }
    thread_.join();
  }

  std::function<void(Sink&)> produce_;
  std::uint64_t position_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Bytes> pieces_;
  std::size_t used_ = 0;     // of the first piece
  std::size_t waiting_ = 0;  // bytes in pieces_
  bool finished_ = false;
  bool stopping_ = false;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<BlobReader> BlobReader::of(const oci::LayerSource& source) {
  if (!source.file.empty()) {
    return std::make_unique<FileReader>(source);
  }
  return std::make_unique<ProducedReader>(source.produce);
}

PartBody::PartBody(BlobReader& reader, std::uint64_t offset, std::uint64_t size,
                   std::function<void(std::uint64_t)> sent)
    : reader_(reader), at_(offset), size_(size), left_(size), sent_(std::move(sent)) {
  reader_.seek(offset);
  first_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(size, 64u << 10)));
  first_.resize(first_.empty() ? 0 : reader_.read(first_));
}

std::size_t PartBody::read(std::span<std::uint8_t> into) {
  const std::size_t most = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), left_));
  if (most == 0) {
    return 0;
  }
  std::size_t count = 0;
  if (first_at_ < first_.size()) {
    count = std::min(most, first_.size() - first_at_);
    std::memcpy(into.data(), first_.data() + first_at_, count);
    first_at_ += count;
  } else {
    count = reader_.read(into.first(most));
    if (count == 0) {
      throw Error(ErrorKind::Corrupt, "a layer ended {} bytes early", left_);
    }
  }
  left_ -= count;
  at_ += count;
  sent_(at_);
  return count;
}

}  // namespace slip::registry
