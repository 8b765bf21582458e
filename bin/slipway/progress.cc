#include "progress.h"

#include <algorithm>

#include "core/text.h"
#include "signals.h"
#include "verbs.h"

namespace slip::cli {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kLarge = 1U << 20;  // below it a task has no bar, and its numbers count items
constexpr auto kWindow = 5s;
constexpr auto kLongRun = 60s;
constexpr std::size_t kBars = 6;

double seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

std::string amounts(const Running& task) {
  if (task.total > 0 && task.total < kLarge) {
    return format("{}/{}", task.done, task.total);
  }
  if (task.total == 0) {
    return task.done >= kLarge ? human_size(task.done) : std::string();
  }
  return format("{} / {}", human_size(task.done), human_size(task.total));
}

std::string cut(std::string text, unsigned width) {
  if (cells(text) <= width) {
    return text;
  }
  std::size_t shown = 0;
  std::size_t i = 0;
  while (i < text.size() && shown + 1 < width) {
    ++i;
    while (i < text.size() && (static_cast<unsigned char>(text[i]) & 0xC0U) == 0x80U) {
      ++i;
    }
    ++shown;
  }
  return text.substr(0, i) + "…";
}

}  // namespace

double Running::rate() const {
  if (samples.size() < 2) {
    return 0;
  }
  const double span = seconds(samples.back().first - samples.front().first);
  if (span < 0.2 || samples.back().second <= samples.front().second) {
    return 0;
  }
  return static_cast<double>(samples.back().second - samples.front().second) / span;
}

void Running::sample(Clock::time_point now) {
  if (!samples.empty() && now - samples.back().first < 100ms) {
    samples.back().second = done;
    return;
  }
  samples.emplace_back(now, done);
  while (samples.size() > 2 && now - samples.front().first > kWindow) {
    samples.erase(samples.begin());
  }
}

std::string progress_line(const Running& task, Clock::time_point now, unsigned width) {
  std::string tail = amounts(task);
  if (const double rate = task.rate(); rate > 0 && task.total >= kLarge) {
    tail += format("  {}/s", human_size(static_cast<std::uint64_t>(rate)));
    if (task.total > task.done) {
      tail += "  " + human_seconds(static_cast<double>(
                         static_cast<std::uint64_t>(static_cast<double>(task.total - task.done) / rate) + 1));
    }
  } else if (task.total == 0 && now - task.since >= 2s) {
    tail += (tail.empty() ? "" : "  ") +
            human_seconds(static_cast<double>(static_cast<std::uint64_t>(seconds(now - task.since))));
  }
  std::string head = task.verb + " " + printable(task.what);
  constexpr unsigned kBar = 20;
  std::string bar;
  if (task.total > 0 && width >= 60) {
    const auto full = static_cast<unsigned>(static_cast<double>(std::min(task.done, task.total)) /
                                            static_cast<double>(task.total) * kBar);
    bar = "  [" + std::string(full, '#') + std::string(kBar - full, '-') + "]";
  }
  const std::size_t behind = cells(bar) + (tail.empty() ? 0 : 2 + cells(tail));
  head = cut(std::move(head), width > behind + 8 ? width - static_cast<unsigned>(behind) : 8);
  return cut(head + bar + (tail.empty() ? "" : "  " + tail), width);
}

void Printer::message(Level level, std::string_view text) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    if (level == Level::Warning) {
      if (loudness_.quiet >= 2 || std::find(warnings_.begin(), warnings_.end(), text) != warnings_.end()) {
        return;
      }
      warnings_.emplace_back(text);
      put(wrap(terminal_.paint(Style::Warning, "warning:") + " " + std::string(text), terminal_.width(), 4) + "\n");
      return;
    }
    const bool shown = level == Level::Info ? loudness_.quiet == 0 : loudness_.verbose > 0 && loudness_.quiet == 0;
    if (shown) {
      const std::string stamp = loudness_.verbose > 1
                                    ? terminal_.paint(Style::Dim, format("[{:8.3f}] ", seconds(Clock::now() - began_)))
                                    : "";
      put(stamp + std::string(text) + "\n");
    }
  } catch (...) {  // out of memory while telling something: nothing to be told any more
  }
}

void Printer::line(std::string_view text) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    if (loudness_.quiet == 0) {
      put(std::string(text) + "\n");
    }
  } catch (...) {
  }
}

void Printer::finish() noexcept {
  try {
    const std::lock_guard lock(mutex_);
    if (loudness_.quiet < 2 && Clock::now() - began_ > kLongRun) {
      for (const std::string& text : warnings_) {
        put(wrap(terminal_.paint(Style::Warning, "warning:") + " " + text, terminal_.width(), 4) + "\n");
      }
    }
    warnings_.clear();
  } catch (...) {
  }
}

// Plain lines.

PlainEvents::PlainEvents(const Terminal& terminal, Loudness loudness, std::chrono::milliseconds heartbeat)
    : Printer(terminal, loudness), heartbeat_(heartbeat) {}

PlainEvents::~PlainEvents() { stop(); }

void PlainEvents::put(std::string_view text) noexcept {
  last_line_ = Clock::now();
  terminal_.write(text);
}

TaskId PlainEvents::begin(std::string_view verb, std::string_view what, TaskId parent) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    if (!loudness_.progress || loudness_.quiet > 0) {
      return kNoTask;
    }
    if (!watcher_.joinable()) {  // the first task: commands without any need no thread
      watcher_ = std::thread([this] { watch(); });
    }
    Running task{std::string(verb), std::string(what), parent, 0, 0, Clock::now(), {}};
    if (loudness_.verbose > 1) {
      put(format("{} {}\n", verb, printable(what)));
    }
    tasks_.emplace(next_, std::move(task));
    return next_++;
  } catch (...) {
    return kNoTask;
  }
}

void PlainEvents::progress(TaskId id, std::uint64_t done, std::uint64_t total) noexcept {
  const std::lock_guard lock(mutex_);
  if (const auto task = tasks_.find(id); task != tasks_.end()) {
    task->second.done = done;
    task->second.total = total;
  }
}

void PlainEvents::end(TaskId id, bool ok) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    const auto task = tasks_.find(id);
    if (task == tasks_.end()) {
      return;
    }
    const Running ended = std::move(task->second);
    tasks_.erase(task);
    // What was done before takes no time to find again: no line, but for layers, whose making is the news.
    const auto took = Clock::now() - ended.since;
    const bool news =
        ended.parent == kNoTask && !is_told_by_command(ended.verb) && (took >= 100ms || ended.verb == "Building");
    if (ok && (news || loudness_.verbose > 0)) {
      put(format("{} {} in {}\n", terminal_.paint(Style::Done, past_of(ended.verb)), printable(ended.what),
                 human_seconds(seconds(took))));
    }
  } catch (...) {
  }
}

void PlainEvents::watch() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (wake_.wait_for(lock, std::max<std::chrono::milliseconds>(heartbeat_ / 10, 1ms), [this] { return stopping_; })) {
      return;
    }
    const auto now = Clock::now();
    if (tasks_.empty() || now - last_line_ < heartbeat_) {
      continue;
    }
    // The stage, not its parts: the oldest task that is still running.
    const Running& task = tasks_.begin()->second;
    const std::string amount = amounts(task);
    put(format("still {} {}{}{}, {} so far\n", lowered(task.verb), printable(task.what), amount.empty() ? "" : ", ",
               amount, human_seconds(seconds(now - task.since))));
  }
}

void PlainEvents::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (watcher_.joinable()) {
    watcher_.join();
  }
}

void PlainEvents::finish() noexcept {
  stop();
  Printer::finish();
}

// Live region.

LiveEvents::LiveEvents(const Terminal& terminal, Loudness loudness) : Printer(terminal, loudness) {}

LiveEvents::~LiveEvents() { stop(); }

void LiveEvents::put(std::string_view text) noexcept {
  wipe();
  terminal_.write(text);
}

void LiveEvents::wipe() noexcept {
  if (!drawn_.empty()) {
    terminal_.write("\r\x1b[J");
    drawn_.clear();
    set_live_region(false);
  }
}

TaskId LiveEvents::begin(std::string_view verb, std::string_view what, TaskId parent) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      return kNoTask;
    }
    if (!drawer_.joinable()) {
      drawer_ = std::thread([this] { draw_on(); });
    }
    tasks_.emplace(next_, Running{std::string(verb), std::string(what), parent, 0, 0, Clock::now(), {}});
    wake_.notify_all();
    return next_++;
  } catch (...) {
    return kNoTask;
  }
}

void LiveEvents::progress(TaskId id, std::uint64_t done, std::uint64_t total) noexcept {
  try {
    const std::lock_guard lock(mutex_);
    if (const auto task = tasks_.find(id); task != tasks_.end()) {
      task->second.done = done;
      task->second.total = total;
      task->second.sample(Clock::now());
    }
  } catch (...) {
  }
}

void LiveEvents::end(TaskId id, bool) noexcept {
  const std::lock_guard lock(mutex_);
  tasks_.erase(id);
  if (tasks_.empty()) {
    wipe();  // at once: the terminal may now be somebody else's
  }
}

std::vector<std::string> LiveEvents::lines(Clock::time_point now) const {
  const unsigned width = std::max(terminal_.width(), 20U) - 1;
  std::vector<std::string> out;
  std::vector<const Running*> bars;
  for (const auto& [id, task] : tasks_) {
    if (task.parent == kNoTask || !tasks_.contains(task.parent)) {
      out.push_back(progress_line(task, now, width));
    } else if (task.total > kLarge && task.done < task.total) {
      bars.push_back(&task);
    }
  }
  std::stable_sort(bars.begin(), bars.end(), [](const Running* a, const Running* b) { return a->total > b->total; });
  const std::size_t room = std::max(terminal_.height(), 4U) - 2;
  for (std::size_t i = 0; i < bars.size() && i < kBars; ++i) {
    out.push_back("  " + progress_line(*bars[i], now, width - 2));
  }
  if (out.size() > room) {
    out.resize(room);
  }
  return out;
}

void LiveEvents::draw() {
  const std::vector<std::string> now = lines(Clock::now());
  const std::string text = join(now, "\n");
  if (text == drawn_) {
    return;
  }
  std::string out = "\r\x1b[J" + text;
  if (now.size() > 1) {
    out += format("\x1b[{}A", now.size() - 1);
  }
  out += "\r";
  set_live_region(true);
  terminal_.write(out);
  drawn_ = text;
}

void LiveEvents::draw_on() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    // A task shorter than this is not worth a flicker, and it bounds the draws to ten a second.
    if (wake_.wait_for(lock, 100ms, [this] { return stopping_; })) {
      return;
    }
    if (!tasks_.empty()) {
      try {
        draw();
      } catch (...) {  // no memory for a bar: the work goes on without
      }
    }
  }
}

void LiveEvents::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    wipe();
  }
  wake_.notify_all();
  if (drawer_.joinable()) {
    drawer_.join();
  }
}

void LiveEvents::finish() noexcept {
  stop();
  Printer::finish();
}

// Recorder.

void RecordingEvents::message(Level level, std::string_view text) noexcept {
  const std::lock_guard lock(mutex_);
  const char* name = level == Level::Debug ? "debug" : level == Level::Info ? "info" : "warning";
  heard_.push_back(format("{}: {}", name, text));
}

TaskId RecordingEvents::begin(std::string_view verb, std::string_view what, TaskId parent) noexcept {
  const std::lock_guard lock(mutex_);
  heard_.push_back(format("begin {} {} {} in {}", next_, verb, what, parent));
  return next_++;
}

void RecordingEvents::progress(TaskId id, std::uint64_t done, std::uint64_t total) noexcept {
  const std::lock_guard lock(mutex_);
  heard_.push_back(format("progress {} {}/{}", id, done, total));
}

void RecordingEvents::end(TaskId id, bool ok) noexcept {
  const std::lock_guard lock(mutex_);
  heard_.push_back(format("end {} {}", id, ok ? "ok" : "failed"));
}

std::vector<std::string> RecordingEvents::heard() const {
  const std::lock_guard lock(mutex_);
  return heard_;
}

}  // namespace slip::cli
