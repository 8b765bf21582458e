#include "http/fault_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/error.h"
#include "core/text.h"
#include "os/fd.h"

namespace slip::http {
namespace {

/// Sends all of it; false when the client has gone.
bool send_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
    if (n <= 0) {
      return false;
    }
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

SeenRequest parse_request(const std::string& text) {
  SeenRequest request;
  const auto lines = split(text, '\n');
  const auto words = split_words(lines.front());
  request.path = words.size() > 1 ? std::string(words[1]) : "";
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (const std::size_t colon = lines[i].find(':'); colon != std::string_view::npos) {
      request.headers[to_lower(trim(lines[i].substr(0, colon)))] = std::string(trim(lines[i].substr(colon + 1)));
    }
  }
  return request;
}

std::optional<std::size_t> range_start(const SeenRequest& request, const Answer& answer) {
  const auto range = request.headers.find("range");
  constexpr std::string_view kPrefix = "bytes=";
  if (!answer.ranges || answer.status != 200 || range == request.headers.end() ||
      range->second.compare(0, kPrefix.size(), kPrefix) != 0) {
    return std::nullopt;
  }
  const auto condition = request.headers.find("if-range");
  const auto etag = answer.headers.find("ETag");
  if (condition != request.headers.end() && (etag == answer.headers.end() || etag->second != condition->second)) {
    return std::nullopt;
  }
  return std::stoul(range->second.substr(kPrefix.size()));
}

std::string head_of(int status, const Answer& answer, const std::map<std::string, std::string>& extra,
                    std::uint64_t length) {
  std::string head = format("HTTP/1.1 {} Scripted\r\nConnection: close\r\n", status);
  for (const auto* fields : {&answer.headers, &extra}) {
    for (const auto& [name, value] : *fields) {
      head += format("{}: {}\r\n", name, value);
    }
  }
  if (!answer.chunked) {
    head += format("Content-Length: {}\r\n", answer.announced.value_or(length));
  }
  return head + "\r\n";
}

}  // namespace

struct FaultServer::State {
  os::Fd listener;
  unsigned port = 0;
  mutable std::mutex mutex;
  std::condition_variable stopping;
  bool stop = false;
  std::map<std::string, std::vector<Answer>> script;
  std::map<std::string, std::size_t> given;
  std::vector<SeenRequest> seen;
  std::size_t now = 0;
  std::size_t most = 0;
  std::vector<std::thread> workers;
  std::thread acceptor;

  Answer next_answer(const SeenRequest& request) {
    const std::lock_guard lock(mutex);
    seen.push_back(request);
    most = std::max(most, ++now);
    const auto found = script.find(request.path);
    if (found == script.end()) {
      Answer missing;
      missing.status = 404;
      return missing;
    }
    const std::size_t index = given[request.path]++;
    return found->second[std::min(index, found->second.size() - 1)];
  }

  /// False when the server is to stop.
  bool wait(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex);
    return !stopping.wait_for(lock, time, [&] { return stop; });
  }

  void send_answer(int fd, const SeenRequest& request, const Answer& answer) {
    std::string_view body = answer.body;
    std::map<std::string, std::string> extra;
    int status = answer.status;
    if (const auto start = range_start(request, answer)) {
      status = *start < body.size() ? 206 : 416;
      extra["Content-Range"] = status == 206 ? format("bytes {}-{}/{}", *start, body.size() - 1, body.size())
                                             : format("bytes */{}", body.size());
      body = status == 206 ? body.substr(*start) : std::string_view();
    }
    const std::string head = head_of(status, answer, extra, body.size());
    const std::size_t most_bytes =
        std::min(answer.cut_after.value_or(body.size()), answer.stall_after.value_or(body.size()));
    if (send_all(fd, head) && send_all(fd, body.substr(0, most_bytes)) && answer.stall_after) {
      wait(std::chrono::hours(1));
    }
  }

  void serve(os::Fd connection) {
    std::string text;
    char block[4096];
    while (text.find("\r\n\r\n") == std::string::npos) {
      const ssize_t n = ::recv(connection.get(), block, sizeof block, 0);
      if (n <= 0) {
        return;
      }
      text.append(block, static_cast<std::size_t>(n));
    }
    const SeenRequest request = parse_request(text);
    const Answer answer = next_answer(request);
    const bool goes_on = answer.delay.count() == 0 || wait(answer.delay);
    {
      // Before the answer goes out: the client may ask again before this thread runs on.
      const std::lock_guard lock(mutex);
      --now;
    }
    if (goes_on) {
      send_answer(connection.get(), request, answer);
    }
  }

  void accept_all() {
    while (true) {
      pollfd waiting{listener.get(), POLLIN, 0};
      constexpr int kTick = 50;
      ::poll(&waiting, 1, kTick);
      const std::lock_guard lock(mutex);
      if (stop) {
        return;
      }
      if ((waiting.revents & POLLIN) == 0) {
        continue;
      }
      os::Fd connection(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (connection.valid()) {
        workers.emplace_back(
            [this, held = std::make_shared<os::Fd>(std::move(connection))] { serve(std::move(*held)); });
      }
    }
  }
};

FaultServer::FaultServer() : state_(std::make_unique<State>()) {
  state_->listener =
      os::Fd(static_cast<int>(os::call(::socket, AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0).or_throw("make a socket")));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  os::call(::bind, state_->listener.get(), plain, length).or_throw("bind to 127.0.0.1");
  os::call(::listen, state_->listener.get(), 128).or_throw("listen on 127.0.0.1");
  os::call(::getsockname, state_->listener.get(), plain, &length).or_throw("ask for the port");
  state_->port = ntohs(address.sin_port);
  state_->acceptor = std::thread([this] { state_->accept_all(); });
}

FaultServer::~FaultServer() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
  }
  state_->stopping.notify_all();
  state_->acceptor.join();
  for (std::thread& worker : state_->workers) {
    worker.join();
  }
}

std::string FaultServer::url(const std::string& path) const {
  return format("http://127.0.0.1:{}{}", state_->port, path);
}

unsigned FaultServer::port() const noexcept { return state_->port; }

void FaultServer::on(const std::string& path, Answer answer) {
  const std::lock_guard lock(state_->mutex);
  state_->script[path].push_back(std::move(answer));
}

std::vector<SeenRequest> FaultServer::requests() const {
  const std::lock_guard lock(state_->mutex);
  return state_->seen;
}

std::size_t FaultServer::count(const std::string& path) const {
  const std::lock_guard lock(state_->mutex);
  return static_cast<std::size_t>(
      std::count_if(state_->seen.begin(), state_->seen.end(), [&](const auto& r) { return r.path == path; }));
}

std::size_t FaultServer::most_at_once() const {
  const std::lock_guard lock(state_->mutex);
  return state_->most;
}

}  // namespace slip::http
