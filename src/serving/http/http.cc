#include "serving/http/http.h"

#include <algorithm>
#include <charconv>

#include "core/text.h"

namespace slip::serving {
namespace {

bool is_token(std::string_view text) noexcept {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           kOthers.find(c) != std::string_view::npos;
  });
}

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const noexcept {
  for (const auto& [key, value] : headers) {
    if (key == name) {
      return value;
    }
  }
  return {};
}

void HttpParser::reset() {
  request_ = {};
  phase_ = Phase::Head;
  scanned_ = 0;
  missing_ = 0;
  expects_continue_ = false;
  chunked_ = false;
}

HttpParser::Step HttpParser::feed(std::string& input) {
  if (phase_ == Phase::Head) {
    return head(input);
  }
  return chunked_ ? chunks(input) : body(input);
}

HttpParser::Step HttpParser::head(std::string& input) {
  while (scanned_ == 0 && input.starts_with("\r\n")) {
    input.erase(0, 2);  // RFC 9112 2.2: an empty line before a request is ignored
  }
  const std::size_t end = input.find("\r\n\r\n", scanned_ < 3 ? 0 : scanned_ - 3);
  if (end == std::string::npos) {
    scanned_ = input.size();
    return scanned_ > limits_.head_bytes ? malformed(431) : Step::NeedMore;
  }
  if (end > limits_.head_bytes) {
    return malformed(431);
  }
  if (!parse_head(std::string_view(input).substr(0, end + 2))) {
    return malformed(error_status_);
  }
  input.erase(0, end + 4);
  if (const int status = framing(); status != 0) {
    return malformed(status);
  }
  phase_ = chunked_ ? Phase::ChunkSize : Phase::Body;
  if (expects_continue_ && (chunked_ || missing_ > input.size())) {
    return Step::Continue;
  }
  return feed(input);
}

bool HttpParser::parse_head(std::string_view head) {
  error_status_ = 400;
  bool first = true;
  while (!head.empty()) {
    const std::size_t end = head.find("\r\n");
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(end + 2);
    if (line.find_first_of(std::string_view("\r\n\0", 3)) != std::string_view::npos) {
      return false;
    }
    if (!(first ? parse_request_line(line) : parse_header(line))) {
      return false;
    }
    first = false;
  }
  return !first;
}

bool HttpParser::parse_request_line(std::string_view line) {
  const std::size_t space = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (space == std::string_view::npos || last == space) {
    return false;
  }
  request_.method = line.substr(0, space);
  request_.target = line.substr(space + 1, last - space - 1);
  const std::string_view version = line.substr(last + 1);
  if (!version.starts_with("HTTP/1.")) {
    error_status_ = version.starts_with("HTTP/") ? 505 : 400;
    return false;
  }
  request_.keep_alive = version != "HTTP/1.0";
  return is_token(request_.method) && !request_.target.empty() &&
         std::ranges::all_of(request_.target, [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
}

bool HttpParser::parse_header(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
    return false;
  }
  if (request_.headers.size() >= limits_.headers) {
    error_status_ = 431;
    return false;
  }
  request_.headers.emplace_back(to_lower(line.substr(0, colon)), trim(line.substr(colon + 1)));
  return true;
}

/// Finds out how the body is framed; 0, or the status of the error.
int HttpParser::framing() {
  bool have_length = false;
  for (const auto& [name, value] : request_.headers) {
    if (name == "content-length") {
      std::uint64_t length = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), length);
      if (error != std::errc{} || end != value.data() + value.size() || (have_length && length != missing_)) {
        return 400;
      }
      have_length = true;
      missing_ = length;
    } else if (name == "transfer-encoding") {
      if (to_lower(value) != "chunked" || chunked_) {
        return 501;
      }
      chunked_ = true;
    } else if (name == "expect") {
      if (to_lower(value) != "100-continue") {
        return 417;
      }
      expects_continue_ = true;
    } else if (name == "connection") {
      for (const auto word : split(value, ',')) {
        const std::string option = to_lower(trim(word));
        request_.keep_alive = option == "close" ? false : (option == "keep-alive" ? true : request_.keep_alive);
      }
    }
  }
  if (chunked_ && have_length) {
    return 400;
  }
  return missing_ > limits_.body_bytes ? 413 : 0;
}

HttpParser::Step HttpParser::body(std::string& input) {
  if (request_.body.empty() && input.size() == missing_) {
    request_.body = std::move(input);  // the usual case: the whole body and nothing else
    input.clear();
    missing_ = 0;
    return Step::Complete;
  }
  if (request_.body.empty() && missing_ > 0) {
    request_.body.reserve(missing_);  // bounded by limits_; untouched room costs no memory
  }
  const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(missing_, input.size()));
  request_.body.append(input, 0, take);
  input.erase(0, take);
  missing_ -= take;
  return missing_ == 0 ? Step::Complete : Step::NeedMore;
}

HttpParser::Step HttpParser::chunk_size(std::string& input) {
  const std::size_t end = input.find("\r\n");
  if (end == std::string::npos) {
    return input.size() > 256 ? malformed(400) : Step::NeedMore;
  }
  std::uint64_t size = 0;
  const auto [stop, error] = std::from_chars(input.data(), input.data() + end, size, 16);
  const bool extension = stop != input.data() + end && *stop == ';';
  if (error != std::errc{} || (stop != input.data() + end && !extension)) {
    return malformed(400);
  }
  if (size > limits_.body_bytes - request_.body.size()) {
    return malformed(413);
  }
  input.erase(0, end + 2);
  missing_ = size;
  phase_ = size == 0 ? Phase::Trailer : Phase::ChunkData;
  return Step::Continue;
}

HttpParser::Step HttpParser::chunks(std::string& input) {
  while (true) {
    if (phase_ == Phase::ChunkSize) {
      if (const Step step = chunk_size(input); step != Step::Continue) {
        return step;
      }
    } else if (phase_ == Phase::ChunkData) {
      const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(missing_, input.size()));
      request_.body.append(input, 0, take);
      input.erase(0, take);
      missing_ -= take;
      if (missing_ > 0) {
        return Step::NeedMore;
      }
      phase_ = Phase::ChunkEnd;
    } else if (phase_ == Phase::ChunkEnd) {
      if (input.size() < 2) {
        return Step::NeedMore;
      }
      if (!input.starts_with("\r\n")) {
        return malformed(400);
      }
      input.erase(0, 2);
      phase_ = Phase::ChunkSize;
    } else {  // trailer fields are read and dropped
      const std::size_t end = input.find("\r\n");
      if (end == std::string::npos) {
        return input.size() > limits_.head_bytes ? malformed(431) : Step::NeedMore;
      }
      input.erase(0, end + 2);
      if (end == 0) {
        return Step::Complete;
      }
    }
  }
}

const char* reason_of(int status) noexcept {
  switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 499: return "Client Closed Request";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
  }
}

std::string percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned code = 0;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(text.data() + i + 1, text.data() + i + 3, code, 16).ptr == text.data() + i + 3) {
      out.push_back(static_cast<char>(code));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

std::string response_head(const HttpResponse& response, bool keep_alive) {
  std::string head;
  head.reserve(160);
  head += "HTTP/1.1 ";
  head += std::to_string(response.status);
  head += ' ';
  head += reason_of(response.status);
  head += "\r\nContent-Type: ";
  head += response.content_type;
  head += "\r\nContent-Length: ";
  head += std::to_string(response.body.size());
  for (const auto& [name, value] : response.headers) {
    head += "\r\n" + name + ": " + value;
  }
  head += keep_alive ? "\r\n\r\n" : "\r\nConnection: close\r\n\r\n";
  return head;
}

}  // namespace slip::serving
