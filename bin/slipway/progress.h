#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/events.h"
#include "terminal.h"

namespace slip::cli {

/// Which messages are shown, and whether progress is.
struct Loudness {
  int quiet = 0;
  int verbose = 0;
  bool progress = true;
};

using Clock = std::chrono::steady_clock;

/// A task as sinks remember it.
struct Running {
  std::string verb;
  std::string what;
  TaskId parent = kNoTask;
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  Clock::time_point since;
  /// Samples of the last seconds, oldest first, for rate and remaining time.
  std::vector<std::pair<Clock::time_point, std::uint64_t>> samples;

  /// Per second over the sample window; 0 while that says nothing.
  [[nodiscard]] double rate() const;
  void sample(Clock::time_point now);
};

/// One line about a task, at most `width` cells: "Downloading tensorflow 2.9.0  [####----]  120.3 MB / 511.7 MB  31.0
/// MB/s  13s".
std::string progress_line(const Running& task, Clock::time_point now, unsigned width);

/// What both sinks share: messages, each warning once, and the warnings again at the end of a long run.
class Printer : public Events {
 public:
  Printer(const Terminal& terminal, Loudness loudness) : terminal_(terminal), loudness_(loudness) {}
  void message(Level level, std::string_view text) noexcept override;
  /// A line among the messages: status lines of the commands go this way, so that they do not tear a live region.
  void line(std::string_view text) noexcept;
  /// Ends progress and repeats the warnings when the run took longer than a minute.
  virtual void finish() noexcept;

 protected:
  /// Prints; the mutex is held.
  virtual void put(std::string_view text) noexcept = 0;
  const Terminal& terminal_;
  Loudness loudness_;
  std::mutex mutex_;
  Clock::time_point began_ = Clock::now();

 private:
  std::vector<std::string> warnings_;
};

/// One line per finished stage, and a heartbeat when a stage says nothing for ten seconds: for pipes, logs and dumb
/// terminals.
class PlainEvents final : public Printer {
 public:
  PlainEvents(const Terminal& terminal, Loudness loudness,
              std::chrono::milliseconds heartbeat = std::chrono::seconds(10));
  ~PlainEvents() override;
  TaskId begin(std::string_view verb, std::string_view what, TaskId parent) noexcept override;
  void progress(TaskId id, std::uint64_t done, std::uint64_t total) noexcept override;
  void end(TaskId id, bool ok) noexcept override;
  void finish() noexcept override;

 protected:
  void put(std::string_view text) noexcept override;

 private:
  void watch();
  void stop() noexcept;
  std::map<TaskId, Running> tasks_;
  TaskId next_ = 1;
  Clock::time_point last_line_ = Clock::now();
  std::chrono::milliseconds heartbeat_;
  bool stopping_ = false;
  std::condition_variable wake_;
  std::thread watcher_;
};

/// A headline for the whole and bars for the large parts, redrawn at most ten times a second by a thread of its own.
/// The cursor rests at the region's first cell, so whoever writes next only has to wipe what lies below.
class LiveEvents final : public Printer {
 public:
  LiveEvents(const Terminal& terminal, Loudness loudness);
  ~LiveEvents() override;
  TaskId begin(std::string_view verb, std::string_view what, TaskId parent) noexcept override;
  void progress(TaskId id, std::uint64_t done, std::uint64_t total) noexcept override;
  void end(TaskId id, bool ok) noexcept override;
  void finish() noexcept override;

 protected:
  void put(std::string_view text) noexcept override;

 private:
  void draw_on();
  void draw();
  void wipe() noexcept;
  void stop() noexcept;
  [[nodiscard]] std::vector<std::string> lines(Clock::time_point now) const;
  std::map<TaskId, Running> tasks_;
  TaskId next_ = 1;
  std::string drawn_;
  bool stopping_ = false;
  std::condition_variable wake_;
  std::thread drawer_;
};

/// Remembers what it hears, one line each, for tests: "begin 1 Downloading x in 0", "progress 1 3/10", "end 1 ok".
class RecordingEvents final : public Events {
 public:
  void message(Level level, std::string_view text) noexcept override;
  TaskId begin(std::string_view verb, std::string_view what, TaskId parent) noexcept override;
  void progress(TaskId id, std::uint64_t done, std::uint64_t total) noexcept override;
  void end(TaskId id, bool ok) noexcept override;
  [[nodiscard]] std::vector<std::string> heard() const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> heard_;
  TaskId next_ = 1;
};

}  // namespace slip::cli
