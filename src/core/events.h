#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/format.h"

namespace slip {

enum class Level : std::uint8_t { Debug, Info, Warning };

using TaskId = std::uint64_t;
constexpr TaskId kNoTask = 0;

/// What a library tells the person while it works. Libraries never print; sinks (terminal, plain lines, JSON,
/// a recorder for tests) do. All members may be called from any thread and never throw.
class Events {
 public:
  Events() = default;
  Events(const Events&) = delete;
  Events& operator=(const Events&) = delete;
  virtual ~Events() = default;

  virtual void message(Level level, std::string_view text) noexcept = 0;
  /// Starts a task. `verb` is the present participle of the closed list ("Downloading", "Building", …),
  /// `what` the object ("tensorflow 2.9.0").
  virtual TaskId begin(std::string_view verb, std::string_view what, TaskId parent) noexcept = 0;
  /// `done` and `total` in bytes or items; total 0: unknown.
  virtual void progress(TaskId id, std::uint64_t done, std::uint64_t total) noexcept = 0;
  virtual void end(TaskId id, bool ok) noexcept = 0;

  template <class... A>
  void info(Fmt<A...> text, A&&... a) {
    message(Level::Info, format(text, std::forward<A>(a)...));
  }
  template <class... A>
  void warn(Fmt<A...> text, A&&... a) {
    message(Level::Warning, format(text, std::forward<A>(a)...));
  }
  template <class... A>
  void debug(Fmt<A...> text, A&&... a) {
    message(Level::Debug, format(text, std::forward<A>(a)...));
  }
};

/// One running task; ends as failed unless succeed() was called.
class Task {
 public:
  Task(Events& events, std::string_view verb, std::string_view what, TaskId parent = kNoTask)
      : events_(events), id_(events.begin(verb, what, parent)) {}
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() { events_.end(id_, ok_); }
  void progress(std::uint64_t done, std::uint64_t total) noexcept { events_.progress(id_, done, total); }
  void succeed() noexcept { ok_ = true; }
  [[nodiscard]] TaskId id() const noexcept { return id_; }

 private:
  Events& events_;
  TaskId id_;
  bool ok_ = false;
};

/// Hears nothing.
class NullEvents final : public Events {
 public:
  void message(Level, std::string_view) noexcept override {}
  TaskId begin(std::string_view, std::string_view, TaskId) noexcept override { return kNoTask; }
  void progress(TaskId, std::uint64_t, std::uint64_t) noexcept override {}
  void end(TaskId, bool) noexcept override {}
};

}  // namespace slip
