#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "os/fd.h"
#include "serving/http/tls.h"

namespace slip::serving {

class Server;

/// One client's connection. The server's poll set hands each event to one thread and reports no other until rearm():
/// a connection that calls it last has one thread at most at work on it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  /// @param tls  null: the bytes go as they are
  Connection(Server& server, os::Fd fd, std::unique_ptr<TlsSession> tls)
      : server_(server), fd_(std::move(fd)), tls_(std::move(tls)) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  virtual ~Connection() = default;

  /// The socket has bytes or room. Must rearm(), finish(), or leave the connection to a responder that will.
  virtual void on_ready() = 0;
  /// The server is going down: close when nothing is being answered. Any thread.
  virtual void drain() = 0;

  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
  /// Steady milliseconds at which an idle connection is cut; 0: never. Read by the server's timer.
  [[nodiscard]] std::int64_t expires() const noexcept { return expires_.load(std::memory_order_relaxed); }

 protected:
  enum class Io { Done, Again, Closed };
  /// Appends what has arrived, 16 KiB at once, or more where `into` has room for it.
  Io receive(std::string& into);
  /// As receive. Where the client's last bytes followed within the server's busy-poll time, asks again for that long
  /// before it answers Again: a thread that is awake answers sooner than one that must be woken.
  Io receive_soon(std::string& into);
  /// Sends from the front of `from`, starting at `offset`, which moves on.
  Io transmit(const std::string& from, std::size_t& offset);
  /// Waits for bytes, and for room when `writing`. The object may be at work in another thread when this returns.
  void rearm(bool writing);
  /// Tells the client that no more will come; it may still send.
  void end_writing() noexcept;
  /// Leaves the server. The object goes when the last reference does.
  void finish();
  void expire_in(std::chrono::milliseconds time) noexcept;
  void never_expire() noexcept { expires_.store(0, std::memory_order_relaxed); }
  [[nodiscard]] Server& server() noexcept { return server_; }

 private:
  friend class Server;
  Server& server_;
  Io receive(char* into, std::size_t room, std::size_t& got);
  Io receive_tls(char* into, std::size_t room, std::size_t& got);
  Io transmit_tls(const std::string& from, std::size_t& offset);
  void poll_busily();

  os::Fd fd_;
  std::unique_ptr<TlsSession> tls_;
  bool tls_needs_room_ = false;  ///< the handshake has bytes to send that the socket did not take
  bool prompt_ = false;          ///< the last bytes came within the busy-poll time
  std::chrono::steady_clock::time_point empty_since_{};  ///< the socket was found empty; zero: it has not been
  std::uint64_t id_ = 0;  ///< never used again by the server, unlike the object's address
  std::atomic<std::int64_t> expires_{0};
};

/// Makes the connection object for an accepted socket.
using Accept = std::function<std::shared_ptr<Connection>(Server&, os::Fd)>;

/// Listens, and runs connections on a fixed number of threads that share one poll set: a thread that is busy with a
/// slow request holds up no other connection.
class Server {
 public:
  /// @param connections  further clients wait in the kernel's queue
  explicit Server(std::size_t connections = 4096);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  /// @param address  IPv4 or IPv6 in numbers  @param port  0: any free one
  /// @return the port bound  @throws Error Conflict: in use, Denied
  std::uint16_t listen_tcp(const std::string& address, std::uint16_t port, Accept accept);
  void listen_unix(const std::string& path, Accept accept);
  /// @param busy_poll  see Connection::receive_soon; zero: always sleep. On a machine of one core nobody polls, and
  ///   elsewhere one thread while all others sleep.
  void start(unsigned threads, std::chrono::microseconds busy_poll = {});
  /// Accepts no more, lets running requests finish for at most `grace`, then ends the threads.
  /// @return true when every connection finished in time
  bool stop(std::chrono::milliseconds grace);

  /// Runs `task` on one of the threads.
  void post(std::function<void()> task);

  [[nodiscard]] bool draining() const noexcept { return draining_.load(std::memory_order_relaxed); }
  [[nodiscard]] std::size_t connection_count() const;
  /// How often a connection had something to do; unchanged while nobody asks for anything.
  [[nodiscard]] std::uint64_t events() const;

 private:
  friend class Connection;
  struct Listener {
    os::Fd fd;
    Accept accept;
    std::string path;  ///< of a socket file, removed at the end
  };

  void add_listener(os::Fd fd, Accept accept, std::string path);
  void work();
  void handle(std::uint64_t id);
  void run_task();
  void accept_from(std::size_t index);
  void arm(int fd, std::uint64_t id, unsigned events, bool add);
  void remove(Connection& connection);
  void watch();
  void cut_expired();
  [[nodiscard]] bool others_sleep() const noexcept {
    return waiting_.load(std::memory_order_relaxed) + 1 == thread_count_;
  }

  os::Fd poll_;
  os::Fd wake_;
  os::Fd tasks_waiting_;  ///< counts tasks_
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::vector<std::thread> threads_;
  std::thread watcher_;
  const std::size_t limit_;
  std::atomic<bool> draining_{false};
  std::atomic<bool> ending_{false};
  mutable std::mutex mutex_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Connection>> connections_;
  std::deque<std::function<void()>> tasks_;
  std::atomic<std::size_t> open_{0};  ///< how many connections_, without its lock
  std::uint64_t next_id_;
  std::uint64_t events_ = 0;
  std::chrono::steady_clock::duration busy_poll_{};
  unsigned thread_count_ = 0;
  std::atomic<unsigned> waiting_{0};  ///< threads that sleep until any connection has something
};

}  // namespace slip::serving
