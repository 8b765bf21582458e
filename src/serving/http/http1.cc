#include "serving/http/http1.h"

#include <sys/socket.h>

#include "serving/json/out.h"

namespace slip::serving {

Http1Connection::Http1Connection(Server& server, os::Fd fd, std::unique_ptr<TlsSession> tls,
                                 const Http1Options& options, const HttpHandler& handler)
    : Connection(server, std::move(fd), std::move(tls)), options_(options), handler_(handler), parser_(options.limits) {
  expire_in(options_.timeouts.request);
}

void Http1Connection::on_ready() { proceed(); }

/// An idle connection has nothing to lose; a busy one closes after its answer.
void Http1Connection::drain() {
  if (idle_) {
    ::shutdown(fd(), SHUT_RD);
  }
}

/// Reads, answers and writes until the socket has no more or somebody else must act.
void Http1Connection::proceed() {
  if (lingering_) {
    linger();
    return;
  }
  if (!output_.empty()) {
    const Next next = send();
    if (next != Next::Read) {
      return;
    }
  }
  while (true) {
    const Next next = parse();
    if (next != Next::Read) {
      return;
    }
    switch (receive_soon(input_)) {
      case Io::Done: idle_ = false; break;
      case Io::Again: {
        const bool idle = parser_.idle() && input_.empty();
        expire_in(idle ? options_.timeouts.idle : options_.timeouts.request);
        idle_ = idle;
        if (idle && server().draining()) {
          finish();
          return;
        }
        rearm(false);
        return;
      }
      case Io::Closed: finish(); return;
    }
  }
}

/// Handles every whole request in input_. Read: more bytes are needed.
Http1Connection::Next Http1Connection::parse() {
  while (true) {
    switch (parser_.feed(input_)) {
      case HttpParser::Step::NeedMore: return Next::Read;
      case HttpParser::Step::Continue: {
        output_ += "HTTP/1.1 100 Continue\r\n\r\n";
        if (const Next next = send(); next != Next::Read) {
          return next;
        }
        break;
      }
      case HttpParser::Step::Malformed: {
        HttpResponse response;
        response.status = parser_.error_status();
        response.body = error_json(reason_of(response.status));
        keep_alive_ = false;
        malformed_ = true;
        answer(std::move(response));
        return send();
      }
      case HttpParser::Step::Complete: {
        const Next next = dispatch();
        if (next != Next::Read) {
          return next;
        }
      }
    }
  }
}

Http1Connection::Next Http1Connection::dispatch() {
  HttpRequest request = std::move(parser_.request());
  parser_.reset();
  keep_alive_ = request.keep_alive && !server().draining();
  never_expire();
  arrived_.store(0, std::memory_order_relaxed);
  auto self = std::static_pointer_cast<Http1Connection>(shared_from_this());
  handler_(std::move(request), [self](HttpResponse response) {
    self->response_ = std::move(response);
    if (self->arrived_.fetch_add(1, std::memory_order_acq_rel) == 1) {
      self->answer(std::move(*self->response_));
      self->proceed();
    }
  });
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == 0) {
    return Next::Wait;  // the responder goes on, perhaps already does
  }
  answer(std::move(*response_));
  return send();
}

void Http1Connection::answer(HttpResponse response) {
  if (server().draining()) {
    keep_alive_ = false;
  }
  output_ += response_head(response, keep_alive_);
  output_ += response.body;
  close_after_ = !keep_alive_;
}

/// Read: all is sent and the connection goes on.
Http1Connection::Next Http1Connection::send() {
  switch (transmit(output_, sent_)) {
    case Io::Again:
      expire_in(options_.timeouts.write);
      rearm(true);
      return Next::Wait;
    case Io::Closed: finish(); return Next::Gone;
    case Io::Done: break;
  }
  if (output_.capacity() > (1u << 20)) {
    output_ = {};
  }
  output_.clear();
  sent_ = 0;
  if (close_after_ && malformed_) {
    end_writing();
    lingering_ = true;
    expire_in(std::chrono::seconds(2));
    linger();
    return Next::Gone;
  }
  if (close_after_) {
    finish();
    return Next::Gone;
  }
  return Next::Read;
}

/// Drops what still arrives. A socket closed with unread bytes is reset, and the client loses our answer.
void Http1Connection::linger() {
  Io io = Io::Done;
  while (io == Io::Done) {
    input_.clear();
    io = receive(input_);
  }
  if (io == Io::Closed) {
    finish();
  } else {
    rearm(false);
  }
}

Accept http1_port(const Http1Options& options, const HttpHandler& handler, TlsContext* tls) {
  return [&options, &handler, tls](Server& server, os::Fd fd) -> std::shared_ptr<Connection> {
    std::unique_ptr<TlsSession> session = tls == nullptr ? nullptr : tls->accept(fd.get());
    if (tls != nullptr && !session) {
      return nullptr;
    }
    return std::make_shared<Http1Connection>(server, std::move(fd), std::move(session), options, handler);
  };
}

}  // namespace slip::serving
