#include "serving/http/net.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "core/error.h"

namespace slip::serving {
namespace {

/// What the poll set reports: one of these, a listener's index behind kFirstListener, or a connection's id.
constexpr std::uint64_t kWake = 0;
constexpr std::uint64_t kTask = 1;
constexpr std::uint64_t kFirstListener = 2;
constexpr std::uint64_t kFirstConnection = 1000;

constexpr std::size_t kSmall = 16 << 10;

std::int64_t now_ms() noexcept {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

os::Fd open_socket(int family) {
  const long fd = os::call(::socket, family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0).or_throw("open a socket");
  return os::Fd(static_cast<int>(fd));
}

}  // namespace

Connection::Io Connection::receive(std::string& into) {
  constexpr std::size_t kMost = 256 << 10;
  const std::size_t old = into.size();
  std::size_t got = 0;
  if (into.capacity() - old <= kSmall) {
    // The usual case, a request of a packet or two: room made for it in `into` would be filled with zeros first.
    std::array<char, kSmall> packet;  // NOLINT(cppcoreguidelines-pro-type-member-init): recv fills it
    const Io io = receive(packet.data(), packet.size(), got);
    into.append(packet.data(), got);
    return io;
  }
  into.resize(std::min(into.capacity(), old + kMost));
  const Io io = receive(into.data() + old, into.size() - old, got);
  into.resize(old + got);
  return io;
}

Connection::Io Connection::receive(char* into, std::size_t room, std::size_t& got) {
  if (tls_) {
    return receive_tls(into, room, got);
  }
  const os::SysRet read = os::call(::recv, fd_.get(), static_cast<void*>(into), room, 0);
  got = static_cast<std::size_t>(std::max(read.value, 0L));
  if (read) {
    return got == 0 ? Io::Closed : Io::Done;
  }
  return read.err == EAGAIN ? Io::Again : Io::Closed;
}

Connection::Io Connection::receive_soon(std::string& into) {
  Io io = receive(into);
  if (io == Io::Again && server_.busy_poll_.count() > 0) {
    empty_since_ = std::chrono::steady_clock::now();
    if (prompt_) {
      poll_busily();
      io = receive(into);
    }
  }
  if (io == Io::Done && empty_since_ != std::chrono::steady_clock::time_point{}) {
    prompt_ = std::chrono::steady_clock::now() - empty_since_ < server_.busy_poll_;
    empty_since_ = {};
  }
  return io;
}

/// Returns when the socket has bytes or its end, the time is over, or another connection has something: two that are
/// busy get nothing out of threads that keep each other and the clients from the cores.
void Connection::poll_busily() {
  while (server_.others_sleep() && std::chrono::steady_clock::now() - empty_since_ < server_.busy_poll_) {
    char first = 0;
    if (os::call(::recv, fd_.get(), static_cast<void*>(&first), std::size_t{1}, MSG_PEEK).err != EAGAIN) {
      return;
    }
    if (server_.open_.load(std::memory_order_relaxed) > 1) {
      ::sched_yield();  // a thread that was woken for another connection, onto this core, must not wait until we end
    }
  }
}

Connection::Io Connection::receive_tls(char* into, std::size_t room, std::size_t& got) {
  tls_needs_room_ = false;
  switch (tls_->read(into, room, got)) {
    case TlsSession::Io::Done: return Io::Done;
    case TlsSession::Io::WantWrite: tls_needs_room_ = true; return Io::Again;
    case TlsSession::Io::WantRead: return Io::Again;
    case TlsSession::Io::Closed: break;
  }
  got = 0;
  return Io::Closed;
}

Connection::Io Connection::transmit_tls(const std::string& from, std::size_t& offset) {
  while (offset < from.size()) {
    std::size_t sent = 0;
    const TlsSession::Io io = tls_->write(from.data() + offset, from.size() - offset, sent);
    if (io != TlsSession::Io::Done) {
      return io == TlsSession::Io::Closed ? Io::Closed : Io::Again;
    }
    offset += sent;
  }
  return Io::Done;
}

Connection::Io Connection::transmit(const std::string& from, std::size_t& offset) {
  if (tls_) {
    return transmit_tls(from, offset);
  }
  while (offset < from.size()) {
    const os::SysRet sent =
        os::call(::send, fd_.get(), static_cast<const void*>(from.data() + offset), from.size() - offset, MSG_NOSIGNAL);
    if (!sent) {
      return sent.err == EAGAIN ? Io::Again : Io::Closed;
    }
    offset += static_cast<std::size_t>(sent.value);
  }
  return Io::Done;
}

void Connection::rearm(bool writing) {
  server_.arm(fd_.get(), id_, EPOLLIN | (writing || tls_needs_room_ ? EPOLLOUT : 0u), false);
}

void Connection::end_writing() noexcept {
  if (tls_) {
    tls_->end_writing();
  }
  ::shutdown(fd_.get(), SHUT_WR);
}

void Connection::finish() {
  if (tls_) {
    tls_->end_writing();
  }
  server_.remove(*this);
}

void Connection::expire_in(std::chrono::milliseconds time) noexcept {
  expires_.store(now_ms() + time.count(), std::memory_order_relaxed);
}

Server::Server(std::size_t connections) : limit_(connections), next_id_(kFirstConnection) {
  poll_ = os::Fd(static_cast<int>(os::call(::epoll_create1, EPOLL_CLOEXEC).or_throw("make a poll set")));
  for (const bool tasks : {false, true}) {
    const int flags = EFD_CLOEXEC | EFD_NONBLOCK | (tasks ? EFD_SEMAPHORE : 0);
    os::Fd& fd = tasks ? tasks_waiting_ : wake_;
    fd = os::Fd(static_cast<int>(os::call(::eventfd, 0u, flags).or_throw("make an event counter")));
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = tasks ? kTask : kWake;  // level-triggered; kWake is never read, so that it wakes every thread
    os::call(::epoll_ctl, poll_.get(), EPOLL_CTL_ADD, fd.get(), &event).or_throw("watch an event counter");
  }
}

Server::~Server() { stop(std::chrono::milliseconds(0)); }

std::uint16_t Server::listen_tcp(const std::string& address, std::uint16_t port, Accept accept) {
  sockaddr_in6 v6{};
  sockaddr_in v4{};
  const bool is_v6 = ::inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1;
  if (!is_v6 && ::inet_pton(AF_INET, address.c_str(), &v4.sin_addr) != 1) {
    throw Error(ErrorKind::Usage, "listen on `{}`: not an IP address", address);
  }
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  v4.sin_family = AF_INET;
  v4.sin_port = htons(port);
  auto* name = is_v6 ? reinterpret_cast<sockaddr*>(&v6) : reinterpret_cast<sockaddr*>(&v4);
  socklen_t size = is_v6 ? sizeof v6 : sizeof v4;
  os::Fd fd = open_socket(is_v6 ? AF_INET6 : AF_INET);
  const int on = 1;
  os::call(::setsockopt, fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, static_cast<socklen_t>(sizeof on))
      .or_throw("set an option of a socket");
  os::call(::bind, fd.get(), static_cast<const sockaddr*>(name), size).or_throw("listen on {} port {}", address, port);
  os::call(::listen, fd.get(), 1024).or_throw("listen on {} port {}", address, port);
  os::call(::getsockname, fd.get(), name, &size).or_throw("ask for the port bound");
  add_listener(std::move(fd), std::move(accept), "");
  return ntohs(is_v6 ? v6.sin6_port : v4.sin_port);
}

void Server::listen_unix(const std::string& path, Accept accept) {
  sockaddr_un name{};
  if (path.size() >= sizeof name.sun_path) {
    throw Error(ErrorKind::Usage, "listen on socket `{}`: the path is longer than {} bytes", path,
                sizeof name.sun_path - 1);
  }
  name.sun_family = AF_UNIX;
  std::memcpy(name.sun_path, path.data(), path.size());
  os::Fd fd = open_socket(AF_UNIX);
  ::unlink(path.c_str());  // left by a server that was killed
  os::call(::bind, fd.get(), reinterpret_cast<const sockaddr*>(&name), static_cast<socklen_t>(sizeof name))
      .or_throw("listen on socket `{}`", path);
  os::call(::listen, fd.get(), 1024).or_throw("listen on socket `{}`", path);
  add_listener(std::move(fd), std::move(accept), path);
}

void Server::add_listener(os::Fd fd, Accept accept, std::string path) {
  listeners_.push_back(std::make_unique<Listener>(Listener{std::move(fd), std::move(accept), std::move(path)}));
  arm(listeners_.back()->fd.get(), kFirstListener + listeners_.size() - 1, EPOLLIN, true);
}

void Server::arm(int fd, std::uint64_t id, unsigned events, bool add) {
  epoll_event event{};
  event.events = events | EPOLLONESHOT | EPOLLRDHUP;
  event.data.u64 = id;
  // ENOENT: another thread has removed the connection meanwhile.
  const os::SysRet armed = os::call(::epoll_ctl, poll_.get(), add ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
  SLIP_CHECK(armed.err == 0 || armed.err == ENOENT || armed.err == ENOMEM || armed.err == ENOSPC);
}

void Server::post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(tasks_waiting_.get(), &one, sizeof one);
}

void Server::start(unsigned threads, std::chrono::microseconds busy_poll) {
  if (std::thread::hardware_concurrency() > 1) {
    busy_poll_ = busy_poll;
  }
  thread_count_ = threads;  // the threads below read it
  for (unsigned i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { work(); });
  }
  watcher_ = std::thread([this] { watch(); });
}

void Server::work() {
  while (!ending_) {
    epoll_event event{};
    waiting_.fetch_add(1, std::memory_order_relaxed);
    const os::SysRet got = os::call(::epoll_wait, poll_.get(), &event, 1, -1);
    waiting_.fetch_sub(1, std::memory_order_relaxed);
    if (got && got.value == 1) {
      handle(event.data.u64);
    }
  }
}

void Server::handle(std::uint64_t id) {
  if (id == kWake) {
    return;
  }
  if (id == kTask) {
    run_task();
    return;
  }
  if (id < kFirstConnection) {
    accept_from(id - kFirstListener);
    return;
  }
  std::shared_ptr<Connection> connection;
  {
    const std::lock_guard lock(mutex_);
    const auto found = connections_.find(id);
    if (found == connections_.end()) {
      return;
    }
    ++events_;
    connection = found->second;
  }
  connection->on_ready();
}

void Server::run_task() {
  std::uint64_t one = 0;
  if (::read(tasks_waiting_.get(), &one, sizeof one) != sizeof one) {
    return;  // another thread took it
  }
  std::function<void()> task;
  {
    const std::lock_guard lock(mutex_);
    task = std::move(tasks_.front());
    tasks_.pop_front();
  }
  task();
}

void Server::accept_from(std::size_t index) {
  Listener& listener = *listeners_[index];
  while (!draining_) {
    const os::SysRet got = os::call(::accept4, listener.fd.get(), static_cast<sockaddr*>(nullptr),
                                    static_cast<socklen_t*>(nullptr), SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (!got) {
      if (got.err == EMFILE || got.err == ENFILE || got.err == ENOMEM || got.err == ENOBUFS) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));  // until connections go
      }
      break;
    }
    const int fd = static_cast<int>(got.value);
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // fails on socket files, which need it not
    ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    auto connection = listener.accept(*this, os::Fd(fd));
    if (!connection) {
      continue;  // no memory for its TLS
    }
    {
      const std::lock_guard lock(mutex_);
      if (connections_.size() >= limit_) {
        continue;  // the object goes and closes the socket
      }
      connection->id_ = next_id_++;
      connections_.emplace(connection->id(), connection);
      open_.store(connections_.size(), std::memory_order_relaxed);
    }
    arm(fd, connection->id(), EPOLLIN, true);
  }
  if (!draining_) {
    arm(listener.fd.get(), kFirstListener + index, EPOLLIN, false);
  }
}

void Server::remove(Connection& connection) {
  const std::lock_guard lock(mutex_);
  const auto found = connections_.find(connection.id());
  if (found != connections_.end()) {
    ::shutdown(connection.fd(), SHUT_RDWR);
    epoll_event ignored{};
    ::epoll_ctl(poll_.get(), EPOLL_CTL_DEL, connection.fd(), &ignored);
    connections_.erase(found);  // its caller holds a reference, so nothing is destroyed under the lock
    open_.store(connections_.size(), std::memory_order_relaxed);
  }
}

std::size_t Server::connection_count() const {
  const std::lock_guard lock(mutex_);
  return connections_.size();
}

std::uint64_t Server::events() const {
  const std::lock_guard lock(mutex_);
  return events_;
}

void Server::watch() {
  while (!ending_) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    cut_expired();
  }
}

void Server::cut_expired() {
  const std::lock_guard lock(mutex_);
  for (const auto& [id, connection] : connections_) {
    const std::int64_t expires = connection->expires();
    if (expires != 0 && expires < now_ms()) {
      ::shutdown(connection->fd(), SHUT_RDWR);  // its thread sees the end and removes it
    }
  }
}

bool Server::stop(std::chrono::milliseconds grace) {
  draining_ = true;
  for (const auto& listener : listeners_) {
    epoll_event ignored{};
    ::epoll_ctl(poll_.get(), EPOLL_CTL_DEL, listener->fd.get(), &ignored);
    listener->fd.reset();
    if (!listener->path.empty()) {
      ::unlink(listener->path.c_str());
    }
  }
  std::vector<std::shared_ptr<Connection>> open;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [id, held] : connections_) {
      open.push_back(held);
    }
  }
  for (const auto& connection : open) {
    connection->drain();
  }
  open.clear();
  const auto end = std::chrono::steady_clock::now() + grace;
  while (connection_count() > 0 && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const bool clean = connection_count() == 0;
  ending_ = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
  for (std::thread& thread : threads_) {
    thread.join();
  }
  threads_.clear();
  if (watcher_.joinable()) {
    watcher_.join();
  }
  const std::lock_guard lock(mutex_);
  connections_.clear();
  listeners_.clear();
  return clean;
}

}  // namespace slip::serving
