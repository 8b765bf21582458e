#pragma once

#include <memory>

#include "http/failure.h"
#include "http/part_file.h"

namespace slip::http {

/// What several downloads have got together: the bar of the task that they belong to.
class Together {
 public:
  /// @param total  bytes in all; 0: not known, or too few to be worth a bar
  Together(Events& events, TaskId task, std::uint64_t total) : events_(events), task_(task), total_(total) {}
  /// One download has `now` bytes where it had `before`.
  void moved(std::uint64_t before, std::uint64_t now) {
    done_ += now - before;  // unsigned arithmetic: a restart takes away what it had
    if (task_ != kNoTask && total_ > 0) {
      events_.progress(task_, done_, total_);
    }
  }

 private:
  Events& events_;
  TaskId task_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
};

/// One Download: resumes, changes mirrors, verifies, renames.
class FileTransfer final : public Transfer {
 public:
  FileTransfer(const Options& options, Backoff& backoff, Events& events, TaskId parent, Together& together,
               const Download& file);
  /// Takes an empty .part file away.
  ~FileTransfer() override;

  Step next() override;
  bool begin(const Head& head) override;
  bool bytes(ByteView bytes) override;
  Millis end(const Outcome& outcome) override;

 private:
  /// False when another process holds the .part file.
  bool open_part();
  /// True when another process finished the file while we waited for it.
  bool finished_by_other();
  [[nodiscard]] Step ask() const;
  /// The bytes are all there. Returns the pause before the next try when they are the wrong ones.
  Millis complete();
  Millis take_failure(Failure failure, const std::string& place);
  Millis next_mirror(const Error& error, const std::string& place);
  Millis wrong_bytes(Error error, const std::string& place);
  Error corrupt(std::string what, std::string expected, std::string actual) const;
  [[noreturn]] void give_up();
  void restart();
  void tell_progress(bool always);

  const Options& options_;
  Backoff& backoff_;
  Events& events_;
  TaskId parent_;
  Together& together_;
  const Download& file_;
  std::filesystem::path part_path_;
  std::unique_ptr<Task> task_;
  std::optional<PartFile> part_;
  std::vector<Error> tried_;  ///< why each mirror so far was left; each with its place as outermost frame
  std::string place_;         ///< the URL of the last try, as errors name it
  std::string validator_;     ///< strong ETag or Last-Modified of the bytes in part_, for If-Range
  std::size_t mirror_ = 0;
  unsigned failed_ = 0;           ///< tries on this mirror that gained less than kRealGain
  unsigned wrong_ = 0;            ///< answers whose bytes were the wrong ones
  std::uint64_t asked_from_ = 0;  ///< where this try's range starts
  std::uint64_t told_ = 0;
  std::uint64_t counted_ = 0;                ///< in together_
  std::optional<std::uint64_t> want_;        ///< whole size: the caller's, else the server's
  std::optional<std::uint64_t> wrong_size_;  ///< what the server offers instead
  bool mixed_ = false;                       ///< part_ holds bytes of an earlier run or another mirror
  bool body_ = false;                        ///< the answer's body is the file
  bool bad_range_ = false;
  bool waited_ = false;
  bool refreshed_ = false;  ///< the last 401 got other headers
  bool done_ = false;
};

}  // namespace slip::http
