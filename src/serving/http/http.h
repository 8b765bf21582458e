#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slip::serving {

/// One HTTP request, whole. Header names are in lower case.
struct HttpRequest {
  std::string method;
  std::string target;  ///< as sent: path and query
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  bool keep_alive = true;

  /// Value of a header, or empty. @param name  in lower case
  [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
  [[nodiscard]] std::string_view path() const noexcept { return std::string_view(target).substr(0, target.find('?')); }
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;  ///< besides Content-Type and Content-Length
};

/// Sends the answer; called once, by any thread.
using HttpResponder = std::function<void(HttpResponse)>;
/// Answers requests. May call the responder before it returns.
using HttpHandler = std::function<void(HttpRequest&&, HttpResponder)>;

/// Bounds on what a client may send.
struct HttpLimits {
  std::size_t head_bytes = 64 << 10;  ///< request line and headers
  std::size_t headers = 100;
  std::size_t body_bytes = 256u << 20;
};

/// Parses requests as their bytes arrive. @source RFC 9112
///
/// Both length headers at once, obsolete line folding, blanks before a colon and bare carriage returns are errors, so
/// that no proxy in front reads another message than we do.
class HttpParser {
 public:
  enum class Step { NeedMore, Continue, Complete, Malformed };

  explicit HttpParser(const HttpLimits& limits) noexcept : limits_(limits) {}

  /// Takes bytes off the front of `input`. Continue: the client waits for "100 Continue" before it sends the body;
  /// answer and call again. Complete: request() is whole; take it and call reset().
  Step feed(std::string& input);
  [[nodiscard]] HttpRequest& request() noexcept { return request_; }
  /// The answer that a malformed request gets.
  [[nodiscard]] int error_status() const noexcept { return error_status_; }
  /// Nothing of a request has arrived yet.
  [[nodiscard]] bool idle() const noexcept { return phase_ == Phase::Head && scanned_ == 0; }
  void reset();

 private:
  enum class Phase { Head, Body, ChunkSize, ChunkData, ChunkEnd, Trailer };

  Step malformed(int status) noexcept {
    error_status_ = status;
    return Step::Malformed;
  }
  Step head(std::string& input);
  Step body(std::string& input);
  Step chunks(std::string& input);
  Step chunk_size(std::string& input);
  bool parse_head(std::string_view head);
  bool parse_request_line(std::string_view line);
  bool parse_header(std::string_view line);
  int framing();

  HttpLimits limits_;
  HttpRequest request_;
  Phase phase_ = Phase::Head;
  std::size_t scanned_ = 0;    ///< bytes of input known to hold no end of head
  std::uint64_t missing_ = 0;  ///< bytes of the body or chunk that are still to come
  bool expects_continue_ = false;
  bool chunked_ = false;
  int error_status_ = 400;
};

/// %41 → A; a malformed escape stays as it is.
std::string percent_decode(std::string_view text);

const char* reason_of(int status) noexcept;
/// The head of a response, up to and with the empty line.
std::string response_head(const HttpResponse& response, bool keep_alive);

}  // namespace slip::serving
