#include "init/output.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

namespace slip::init {
namespace {

// A record at its longest: every byte escaped, and the words around it.
char g_record[kMostLine * kMostEscaped + 512];

}  // namespace

void Output::open(int fd) {
  char path[32] = {};
  Writer(path, sizeof path - 1).text("/proc/self/fd/").number(static_cast<uint64_t>(fd));
  fd_ = fd;
  struct stat st{};
  if (::fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
    return;  // never makes anybody wait, and its offset is shared with others who write to it
  }
  if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
    const int own = ::open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    if (own >= 0) {
      fd_ = own;
      return;
    }
  }
  // A socket, or a pipe of another user: then everybody who has it sees the flag.
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0) {
    ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  }
}

bool Output::append(Text whole_line, size_t room) {
  if (gone_ || whole_line.size > room) {
    ++dropped_;
    return false;
  }
  const size_t at = (begin_ + size_) % kRoom;
  const size_t first = least(whole_line.size, kRoom - at);
  memcpy(ring_ + at, whole_line.data, first);
  memcpy(ring_, whole_line.data + first, whole_line.size - first);
  size_ += whole_line.size;
  return true;
}

void Output::flush() {
  while (size_ > 0 && !gone_) {
    const size_t first = least(size_, kRoom - begin_);
    const struct iovec pieces[2] = {{ring_ + begin_, first}, {ring_, size_ - first}};
    const ssize_t wrote = ::writev(fd_, pieces, size_ > first ? 2 : 1);
    if (wrote < 0) {
      if (errno == EINTR) {
        continue;
      }
      if (errno != EAGAIN) {
        gone_ = true;
        size_ = 0;
      }
      return;
    }
    begin_ = (begin_ + static_cast<size_t>(wrote)) % kRoom;
    size_ -= static_cast<size_t>(wrote);
  }
  if (size_ == 0) {
    begin_ = 0;  // the same pages again, not all of the ring in turn
  }
}

uint64_t Output::take_dropped() {
  const uint64_t count = dropped_;
  dropped_ = 0;
  return count;
}

void LineSplitter::emit(Text line, bool partial, Output& out) const {
  Writer record(g_record, sizeof g_record);
  record.text("{\"ts\":\"");
  write_time(record);
  record.text("\",\"service\":\"").text(service_).text("\",\"stream\":\"").text(stream_).text("\",\"line\":\"");
  record.escaped(line).text(partial ? "\",\"partial\":true}\n" : "\",\"partial\":false}\n");
  out.line(record.written());
}

void LineSplitter::feed(Text bytes, Output& out) {
  while (!bytes.empty()) {
    const size_t look = least(bytes.size, kMostLine - kept_);
    const auto* newline = static_cast<const char*>(memchr(bytes.data, '\n', look));
    const size_t count = newline != nullptr ? static_cast<size_t>(newline - bytes.data) : look;
    if (newline != nullptr && kept_ == 0) {
      emit({bytes.data, count}, false, out);  // the common case: nothing is copied
      bytes = {bytes.data + count + 1, bytes.size - count - 1};
      continue;
    }
    memcpy(keep_ + kept_, bytes.data, count);
    kept_ += count;
    bytes = {bytes.data + count, bytes.size - count};
    if (newline != nullptr) {  // NOLINT(bugprone-branch-clone): each case has its own reason
      emit({keep_, kept_}, false, out);
      kept_ = 0;
      bytes = {bytes.data + 1, bytes.size - 1};
    } else if (kept_ == kMostLine && !(bytes.size > 0 && bytes[0] == '\n')) {
      // Not through the middle of a character, if the last bytes are one that goes on.
      size_t cut = kept_;
      for (size_t back = 1; back <= 3; ++back) {
        const auto byte = static_cast<unsigned char>(keep_[kept_ - back]);
        if (byte >= 0xc0) {
          const size_t wanted = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
          cut = wanted > back ? kept_ - back : kept_;
          break;
        }
        if (byte < 0x80) {
          break;
        }
      }
      emit({keep_, cut}, true, out);
      memmove(keep_, keep_ + cut, kept_ - cut);
      kept_ -= cut;
    } else if (kept_ == kMostLine) {
      emit({keep_, kept_}, false, out);
      kept_ = 0;
      bytes = {bytes.data + 1, bytes.size - 1};
    }
  }
}

void LineSplitter::finish(Output& out) {
  if (kept_ > 0) {
    emit({keep_, kept_}, false, out);
    kept_ = 0;
  }
}

void write_time(Writer& out) {
  struct timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  static time_t g_second = -1;  // most records share their second with the last one
  static char g_text[24];
  static size_t g_size = 0;
  if (now.tv_sec != g_second) {
    struct tm parts{};
    ::gmtime_r(&now.tv_sec, &parts);
    Writer second(g_text, sizeof g_text);
    // NOLINTBEGIN(bugprone-misplaced-widening-cast): years and months are small
    second.padded(static_cast<uint64_t>(parts.tm_year + 1900), 4).text("-");
    second.padded(static_cast<uint64_t>(parts.tm_mon + 1), 2).text("-");
    // NOLINTEND(bugprone-misplaced-widening-cast)
    second.padded(static_cast<uint64_t>(parts.tm_mday), 2).text("T");
    second.padded(static_cast<uint64_t>(parts.tm_hour), 2).text(":");
    second.padded(static_cast<uint64_t>(parts.tm_min), 2).text(":");
    second.padded(static_cast<uint64_t>(parts.tm_sec), 2).text(".");
    g_second = now.tv_sec;
    g_size = second.written().size;
  }
  out.text({g_text, g_size}).padded(static_cast<uint64_t>(now.tv_nsec / 1000), 6).text("Z");
}

}  // namespace slip::init
