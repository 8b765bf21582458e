#include "init/control.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace slip::init {
namespace {

constexpr int kPatienceMs = 50;

void write_status(const Supervisor& supervisor, Writer& out) {
  out.text("{\"services\":[");
  for (unsigned i = 0; i < supervisor.count(); ++i) {
    const Unit& unit = supervisor.unit(i);
    out.text(i > 0 ? ",{\"name\":\"" : "{\"name\":\"").text(unit.service->name);
    out.text("\",\"state\":\"").text(state_name(unit.state)).text("\"");
    if (unit.pid > 0) {
      out.text(",\"pid\":").number(static_cast<uint64_t>(unit.pid));
    }
    out.text(",\"restarts\":").number(unit.restarts);
    out.text(",\"since_ms\":").number(supervisor.now() - unit.since).text("}");
  }
  out.text("]}\n");
}

void refuse(Writer& out, Text why, Text detail) {
  out.text("{\"error\":\"").text(why).text(" ").escaped(detail).text("\"}\n");
}

void answer(Text request, Supervisor& supervisor, Writer& out) {
  size_t space = 0;
  while (space < request.size && request[space] != ' ') {
    ++space;
  }
  const Text verb{request.data, space};
  const Text name = space < request.size ? Text{request.data + space + 1, request.size - space - 1} : Text{};
  if (request == "status") {
    write_status(supervisor, out);
    return;
  }
  if (!(verb == "start") && !(verb == "stop") && !(verb == "restart")) {
    refuse(out, "no such request:", verb);
    return;
  }
  Unit* unit = supervisor.find(name);
  if (unit == nullptr) {
    refuse(out, "there is no service", name);
    return;
  }
  if (verb == "start") {
    supervisor.order_start(*unit);
  } else {
    supervisor.order_stop(*unit, verb == "restart");
  }
  out.text("{\"ok\":true}\n");
}

}  // namespace

int open_control(const char* path) {
  struct sockaddr_un address{};
  address.sun_family = AF_UNIX;
  Writer name(address.sun_path, sizeof address.sun_path - 1);
  if (name.text(path).full()) {
    errno = ENAMETOOLONG;
    return -1;
  }
  struct stat there{};
  if (::lstat(path, &there) == 0 && S_ISSOCK(there.st_mode)) {
    ::unlink(path);
  }
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return -1;
  }
  const mode_t before = ::umask(0177);
  const bool bound = ::bind(fd, reinterpret_cast<const struct sockaddr*>(&address), sizeof address) == 0;
  ::umask(before);
  if (!bound || ::listen(fd, 8) != 0) {
    const int error = errno;
    ::close(fd);
    errno = error;
    return -1;
  }
  return fd;
}

void serve_control(int listener, Supervisor& supervisor) {
  const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) {
    return;
  }
  char request[256];
  size_t size = 0;
  bool whole = false;
  struct pollfd wait{fd, POLLIN, 0};
  for (int tries = 0; tries < 4 && !whole && size < sizeof request && ::poll(&wait, 1, kPatienceMs) == 1; ++tries) {
    const ssize_t got = ::read(fd, request + size, sizeof request - size);
    if (got <= 0) {
      whole = got == 0 && size > 0;
      break;
    }
    size += static_cast<size_t>(got);
    whole = request[size - 1] == '\n';
  }
  if (whole) {
    size -= request[size - 1] == '\n' ? 1 : 0;
    static char reply[kMaxServices * 192 + 64];
    Writer out(reply, sizeof reply);
    answer({request, size}, supervisor, out);
    const Text text = out.written();
    ::send(fd, text.data, text.size, MSG_NOSIGNAL);
  }
  ::close(fd);
}

}  // namespace slip::init
