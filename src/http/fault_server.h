#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace slip::http {

/// What a FaultServer says to one request.
struct Answer {
  int status = 200;
  std::map<std::string, std::string> headers;
  std::string body;
  bool ranges = true;                      ///< honour Range (206, Content-Range); If-Range against headers["ETag"]
  std::optional<std::uint64_t> announced;  ///< a Content-Length other than the true one
  bool chunked = false;                    ///< no Content-Length at all; the end of the connection ends the body
  std::optional<std::size_t> cut_after;    ///< close after this many body bytes
  std::optional<std::size_t> stall_after;  ///< send nothing more after this many body bytes, but keep open
  std::chrono::milliseconds delay{0};      ///< before the status line
};

/// A request as it came in.
struct SeenRequest {
  std::string path;                            ///< with the query
  std::map<std::string, std::string> headers;  ///< names in lower case
};

/// A scripted HTTP/1.1 server on 127.0.0.1 for tests: no file system, no surprises. Paths without a script get 404.
class FaultServer {
 public:
  FaultServer();
  ~FaultServer();
  FaultServer(const FaultServer&) = delete;
  FaultServer& operator=(const FaultServer&) = delete;

  /// "http://127.0.0.1:PORT" + path.
  [[nodiscard]] std::string url(const std::string& path) const;
  [[nodiscard]] unsigned port() const noexcept;
  /// Appends an answer to the script of `path`. The last one is given again and again.
  void on(const std::string& path, Answer answer);
  /// All requests so far, in order of arrival.
  [[nodiscard]] std::vector<SeenRequest> requests() const;
  /// How many requests of `path` there were.
  [[nodiscard]] std::size_t count(const std::string& path) const;
  /// The most requests that were being answered at one moment.
  [[nodiscard]] std::size_t most_at_once() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace slip::http
