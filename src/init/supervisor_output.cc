// What services print and what happens to them, as records on our stdout.
#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "init/control.h"
#include "init/supervisor.h"
#include "init/tags.h"

namespace slip::init {
namespace {

char g_lines[4 * kMaxServices][kMostLine];  // apart from the streams: pages that nobody writes to cost nothing

constexpr size_t kEnoughRoom = size_t{64} * 1024;

/// Begins another member of a record.
Writer& field(Writer& out, Text key) { return out.text(",\"").text(key).text("\":"); }

}  // namespace

void Supervisor::event(const char* name, const Unit* unit, const char* key, uint64_t number, Text reason) {
  if (!log_) {
    return;
  }
  char record[1024];
  Writer out(record, sizeof record - 2);
  out.text("{\"ts\":\"");
  write_time(out);
  field(out.text("\""), "event").text("\"").text(name).text("\"");
  if (unit != nullptr) {
    field(out, "service").text("\"").text(unit->service->name).text("\"");
  }
  if (key != nullptr) {
    field(out, key).number(number);
  }
  if (!reason.empty()) {
    field(out, "reason").text("\"").escaped({reason.data, least<size_t>(reason.size, 128)}).text("\"");
  }
  const size_t size = out.written().size;
  record[size] = '}';
  record[size + 1] = '\n';
  output_.event({record, size + 2});
}

void Supervisor::add_stream(int fd, const char* service, const char* name) {
  for (unsigned i = 0; i < kStreams; ++i) {
    if (streams_[i].fd < 0) {
      streams_[i].fd = fd;
      streams_[i].lines.begin(service, name, g_lines[i]);
      struct epoll_event wanted{};
      wanted.events = EPOLLIN;
      wanted.data.u32 = i;
      ::epoll_ctl(streams_epoll_, EPOLL_CTL_ADD, fd, &wanted);
      return;
    }
  }
  ::close(fd);  // daemons of former launches hold all the others
}

bool Supervisor::read_stream(Stream& stream) {
  static char buffer[kEnoughRoom];
  const size_t fits = stream.lines.fits(output_.room());
  const size_t size = dropping_ || output_.gone() ? sizeof buffer : least(fits, sizeof buffer);
  if (size == 0) {
    return false;
  }
  const ssize_t got = ::read(stream.fd, buffer, size);
  if (got > 0) {
    stream.lines.feed({buffer, static_cast<size_t>(got)}, output_);
    return true;
  }
  if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
    stream.lines.finish(output_);
    ::close(stream.fd);
    stream.fd = -1;
  }
  return true;
}

void Supervisor::read_streams() {
  struct epoll_event events[64];
  const int got = ::epoll_wait(streams_epoll_, events, 64, 0);
  for (int i = 0; i < got; ++i) {
    if (!dropping_ && output_.room() < kEnoughRoom) {
      output_.flush();
      if (output_.room() < kEnoughRoom && !output_.gone()) {
        return;  // watch_output() pauses
      }
    }
    read_stream(streams_[events[i].data.u32]);
  }
}

void Supervisor::tell_dropped() {
  if (const uint64_t dropped = output_.take_dropped(); dropped > 0 && !output_.gone()) {
    event("dropped", nullptr, "lines", dropped, "nobody read the log in time");
    output_.flush();
  }
}

/// Writes what is there, and decides who waits: our reader for us, we for the reader, nobody for long.
void Supervisor::watch_output() {
  if (!log_) {
    return;
  }
  output_.flush();
  if (output_.relaxed()) {
    dropping_ = false;
    tell_dropped();
  }
  const bool pause =
      !dropping_ && !output_.gone() && (paused_ != 0 ? !output_.relaxed() : output_.room() < kEnoughRoom);
  if (pause != (paused_ != 0)) {
    paused_ = pause ? now_ : 0;
    struct epoll_event wanted{};
    wanted.events = pause ? 0 : static_cast<uint32_t>(EPOLLIN);
    wanted.data.u64 = tag_of(kStreamsReady);
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, streams_epoll_, &wanted);
  }
  const bool wait = !output_.empty() && !output_.gone();
  if (wait != output_watched_) {
    output_watched_ = wait;
    struct epoll_event wanted{};
    wanted.events = EPOLLOUT;
    wanted.data.u64 = tag_of(kOutput);
    ::epoll_ctl(epoll_, wait ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, output_.fd(), &wanted);
  }
}

/// What is still in the pipes, the last event, and a second for whoever reads them.
int Supervisor::last_words() {
  if (control_ >= 0 && !is_abstract(control_path_)) {
    ::unlink(control_path_);
  }
  if (!log_) {
    return status_;
  }
  const uint64_t until = now_ms() + 1'000;
  while (!drain_streams() && !dropping_) {
    dropping_ = output_.gone() || now_ms() >= until;  // the rest is read all the same, to be counted
    wait_for_reader();
  }
  for (Stream& stream : streams_) {
    if (stream.fd >= 0) {
      stream.lines.finish(output_);
    }
  }
  tell_dropped();
  event("exit", nullptr, "status", static_cast<uint64_t>(status_), reason_);
  const uint64_t end = now_ms() + 1'000;
  for (output_.flush(); !output_.empty() && !output_.gone() && now_ms() < end;) {
    wait_for_reader();
  }
  return status_;
}

void Supervisor::wait_for_reader() {
  struct pollfd wait{output_.fd(), POLLOUT, 0};
  if (!output_.empty() && !output_.gone()) {
    ::poll(&wait, 1, 100);
  }
  output_.flush();
}

/// Takes what is in the pipes; false when there was no room for all of it. What writes for ever
/// is left at it.
bool Supervisor::drain_streams() {
  bool all = true;
  for (Stream& stream : streams_) {
    int rounds = 64;
    for (bool more = stream.fd >= 0; more && stream.fd >= 0; --rounds) {
      if (output_.room() < kEnoughRoom) {
        output_.flush();
      }
      struct pollfd waiting{stream.fd, POLLIN, 0};
      more = ::poll(&waiting, 1, 0) == 1;
      if (more && (rounds == 0 || !read_stream(stream))) {
        all = false;
        break;
      }
    }
  }
  return all;
}

}  // namespace slip::init
