#include "init/control.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace slip::init {
namespace {

constexpr int kPatienceMs = 50;
constexpr int kHealthPatienceMs = 2000;

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

/// Fills the address in; its length, or 0 with errno when the name is too long.
socklen_t address_of(const char* path, struct sockaddr_un& address) {
  address.sun_family = AF_UNIX;
  Writer name(address.sun_path, sizeof address.sun_path - 1);
  if (name.text(path).full()) {
    errno = ENAMETOOLONG;
    return 0;
  }
  if (!is_abstract(path)) {
    return sizeof address;
  }
  address.sun_path[0] = '\0';
  return static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + Text(path).size);
}

/// An abstract socket has no mode: whoever shares the network namespace can connect, so the kernel is asked who it is.
bool may_ask(int fd) {
  struct ucred peer{};
  socklen_t length = sizeof peer;
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == ::getuid();
}

/// True when the answer to `status` shows no service that is not up or rightly at rest.
bool all_well(Text reply) {
  constexpr const char* kWell[] = {"ready\"", "skipped\"", "ended\""};
  const Text key = "\"state\":\"";
  bool any = false;
  for (size_t at = 0; at + key.size < reply.size; ++at) {
    if (!(Text{reply.data + at, key.size} == key)) {
      continue;
    }
    any = true;
    const Text rest{reply.data + at + key.size, reply.size - at - key.size};
    bool well = false;
    for (const char* good : kWell) {
      const Text word = good;
      well = well || (rest.size >= word.size && Text{rest.data, word.size} == word);
    }
    if (!well) {
      return false;
    }
  }
  return any;
}

}  // namespace

bool is_abstract(const char* path) { return path[0] == '@'; }

int open_control(const char* path) {
  struct sockaddr_un address{};
  const socklen_t length = address_of(path, address);
  if (length == 0) {
    return -1;
  }
  struct stat there{};
  if (!is_abstract(path) && ::lstat(path, &there) == 0 && S_ISSOCK(there.st_mode)) {
    ::unlink(path);
  }
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return -1;
  }
  const mode_t before = ::umask(0177);
  const bool bound = ::bind(fd, reinterpret_cast<const struct sockaddr*>(&address), length) == 0;
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
  if (is_abstract(supervisor.control_path()) && !may_ask(fd)) {
    ::close(fd);
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

bool ask_health(const char* path) {
  struct sockaddr_un address{};
  const socklen_t length = address_of(path, address);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  static char reply[kMaxServices * 192 + 64];
  size_t size = 0;
  if (length != 0 && fd >= 0 && ::connect(fd, reinterpret_cast<const struct sockaddr*>(&address), length) == 0 &&
      ::send(fd, "status\n", 7, MSG_NOSIGNAL) == 7) {
    struct pollfd wait{fd, POLLIN, 0};
    ssize_t got = 0;
    while (size < sizeof reply && ::poll(&wait, 1, kHealthPatienceMs) == 1 &&
           (got = ::read(fd, reply + size, sizeof reply - size)) > 0) {
      size += static_cast<size_t>(got);
    }
  }
  const int error = size > 0 ? 0 : errno;
  if (fd >= 0) {
    ::close(fd);
  }
  (void)!::write(1, reply, size);
  errno = error;
  return all_well({reply, size});
}

}  // namespace slip::init
