#include "serving/http/grpc.h"

#include <nghttp2/nghttp2.h>
#include <sys/socket.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <mutex>

#include "core/format.h"
#include "serving/http/gzip.h"

namespace slip::serving {
namespace {

constexpr std::size_t kPrefix = 5;  ///< compressed flag, big-endian length
constexpr std::int32_t kWindow = 16 << 20;

std::string frame_message(std::string_view message) {
  std::string framed(kPrefix, '\0');
  for (std::size_t i = 0; i < 4; ++i) {
    framed[1 + i] = static_cast<char>(message.size() >> (24 - 8 * i) & 0xff);
  }
  framed += message;
  return framed;
}

/// Percent-encodes what may not stand in grpc-message.
std::string encode_message(std::string_view text) {
  constexpr std::size_t kLongest = 1024;
  std::string out;
  for (const char c : text.substr(0, kLongest)) {
    if (c >= ' ' && c <= '~' && c != '%') {
      out.push_back(c);
    } else {
      out += format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    }
  }
  return text.size() > kLongest ? out + "...TRUNCATED" : out;
}

nghttp2_nv header(std::string_view name, std::string_view value) {
  return {reinterpret_cast<std::uint8_t*>(const_cast<char*>(name.data())),
          reinterpret_cast<std::uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NONE};
}

class Http2Connection;

/// One HTTP/2 stream; guarded by its connection's mutex.
struct Stream {
  std::string path;
  std::string content_type;
  std::string encoding;
  std::string authorization;
  Deadline deadline = kNoDeadline;
  std::string input;   ///< bytes of messages not yet handed on
  std::string output;  ///< framed messages, sent from output_sent on
  std::size_t output_sent = 0;
  bool called = false;    ///< a message has been handed to the handler
  bool several = false;   ///< of a bidirectional method
  bool busy = false;      ///< of such a method: a message is not answered yet
  bool ended = false;     ///< the client has ended its side
  bool started = false;   ///< response headers are submitted
  bool deferred = false;  ///< nghttp2 waits for resume
  bool finished = false;
  Failure failure;
};

class Call final : public GrpcStream {
 public:
  Call(std::weak_ptr<Http2Connection> connection, std::int32_t id) : connection_(std::move(connection)), id_(id) {}
  void send(std::string message) override { deliver(&message, nullptr); }
  void finish(Failure failure) override { deliver(nullptr, &failure); }
  void reply(std::string message) override {
    Failure none{Code::Ok, ""};
    deliver(&message, &none);
  }
  [[nodiscard]] bool alive() const override;

 private:
  void deliver(std::string* message, Failure* failure);

  std::weak_ptr<Http2Connection> connection_;
  std::int32_t id_;
};

class Http2Connection final : public Connection {
 public:
  Http2Connection(Server& server, os::Fd fd, std::unique_ptr<TlsSession> tls, const GrpcOptions& options,
                  const GrpcHandler& handler);
  ~Http2Connection() override { nghttp2_session_del(session_); }

  void on_ready() override;
  void drain() override;
  /// Sends a message, ends the call, or both; null: not that.
  void deliver(std::int32_t id, const std::string* message, Failure* failure);
  bool has(std::int32_t id);

 private:
  struct Ready {
    GrpcRequest request;
    std::int32_t id;
  };

  static Http2Connection& self(void* user) { return *static_cast<Http2Connection*>(user); }
  void set_callbacks(nghttp2_session_callbacks* callbacks);
  int on_header(const nghttp2_frame& frame, std::string_view name, std::string_view value);
  int on_data(std::int32_t id, std::string_view bytes);
  void on_end(std::int32_t id);
  void end_if_answered(std::int32_t id, Stream& stream);
  void take_messages(std::int32_t id, Stream& stream);
  bool check_request(std::int32_t id, const Stream& stream);
  ssize_t read_output(std::int32_t id, std::uint8_t* into, std::size_t room, std::uint32_t* flags);
  void start_response(std::int32_t id, Stream& stream);
  void end_without_message(std::int32_t id, const Stream& stream);
  void conclude(std::int32_t id, Stream& stream, Failure failure);
  void wake(std::int32_t id, Stream& stream);
  bool flush();
  void run(std::vector<Ready> ready);
  void post(Ready ready);
  void post_ready();

  const GrpcOptions& options_;
  const GrpcHandler& handler_;
  std::mutex mutex_;
  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, Stream> streams_;
  std::vector<Ready> ready_;
  std::size_t buffered_ = 0;  ///< bytes of all streams' input
  std::string input_;
  std::string output_;
  std::size_t sent_ = 0;
  bool writing_ = false;  ///< the socket was full; on_ready() goes on
  bool gone_ = false;
};

void Call::deliver(std::string* message, Failure* failure) {
  if (const auto connection = connection_.lock()) {
    connection->deliver(id_, message, failure);
  }
}
bool Call::alive() const {
  const auto connection = connection_.lock();
  return connection && connection->has(id_);
}

Http2Connection::Http2Connection(Server& server, os::Fd fd, std::unique_ptr<TlsSession> tls, const GrpcOptions& options,
                                 const GrpcHandler& handler)
    : Connection(server, std::move(fd), std::move(tls)), options_(options), handler_(handler) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  set_callbacks(callbacks);
  nghttp2_session_server_new(&session_, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options.concurrent_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, static_cast<std::uint32_t>(kWindow)},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 64 << 10},
  };
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0, kWindow);
  expire_in(std::chrono::seconds(10));  // for the client's preface
}

void Http2Connection::set_callbacks(nghttp2_session_callbacks* callbacks) {
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks,
                                                          [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
                                                            if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
                                                              self(user).streams_.try_emplace(frame->hd.stream_id);
                                                            }
                                                            return 0;
                                                          });
  nghttp2_session_callbacks_set_on_header_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_size,
                    const std::uint8_t* value, std::size_t value_size, std::uint8_t, void* user) {
        return self(user).on_header(*frame, {reinterpret_cast<const char*>(name), name_size},
                                    {reinterpret_cast<const char*>(value), value_size});
      });
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      callbacks, [](nghttp2_session*, std::uint8_t, std::int32_t id, const std::uint8_t* data, std::size_t size,
                    void* user) { return self(user).on_data(id, {reinterpret_cast<const char*>(data), size}); });
  nghttp2_session_callbacks_set_on_frame_recv_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
        const bool ends = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
        if (ends && (frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS)) {
          self(user).on_end(frame->hd.stream_id);
        }
        return 0;
      });
  nghttp2_session_callbacks_set_on_stream_close_callback(
      callbacks, [](nghttp2_session*, std::int32_t id, std::uint32_t, void* user) {
        auto& streams = self(user).streams_;
        if (const auto found = streams.find(id); found != streams.end()) {
          self(user).buffered_ -= found->second.input.size();
          streams.erase(found);
        }
        return 0;
      });
}

int Http2Connection::on_header(const nghttp2_frame& frame, std::string_view name, std::string_view value) {
  const auto found = streams_.find(frame.hd.stream_id);
  if (found == streams_.end()) {
    return 0;
  }
  Stream& stream = found->second;
  if (name == ":path") {
    stream.path = value;
  } else if (name == "content-type") {
    stream.content_type = value;
  } else if (name == "grpc-encoding") {
    stream.encoding = value;
  } else if (name == "authorization") {
    stream.authorization = value;
  } else if (name == "grpc-timeout") {
    if (const auto timeout = read_grpc_timeout(value)) {
      stream.deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(*timeout);
    }
  }
  return 0;
}

int Http2Connection::on_data(std::int32_t id, std::string_view bytes) {
  const auto found = streams_.find(id);
  if (found == streams_.end() || found->second.finished) {
    return 0;
  }
  Stream& stream = found->second;
  stream.input += bytes;
  buffered_ += bytes.size();
  if (stream.input.size() > options_.message_bytes + kPrefix || buffered_ > 2 * options_.message_bytes) {
    conclude(id, stream,
             {Code::ResourceExhausted,
              "Received message larger than max (" + std::to_string(options_.message_bytes) + " bytes)"});
    return 0;
  }
  take_messages(id, stream);
  return 0;
}

/// Hands every whole message of a stream on.
void Http2Connection::take_messages(std::int32_t id, Stream& stream) {
  while (stream.input.size() >= kPrefix && !stream.finished && !stream.busy) {
    std::size_t size = 0;
    for (std::size_t i = 1; i < kPrefix; ++i) {
      size = size << 8 | static_cast<unsigned char>(stream.input[i]);
    }
    const bool compressed = stream.input[0] != 0;
    if (size > options_.message_bytes) {
      conclude(id, stream,
               {Code::ResourceExhausted,
                format("Received message larger than max ({} vs. {})", size, options_.message_bytes)});
      return;
    }
    if (stream.input.size() < kPrefix + size) {
      stream.input.reserve(kPrefix + size);
      return;
    }
    if (!check_request(id, stream)) {
      return;
    }
    Ready ready{{stream.path, {}, stream.deadline, stream.authorization}, id};
    buffered_ -= kPrefix + size;
    if (stream.input.size() == kPrefix + size) {
      ready.request.message = std::move(stream.input);
      ready.request.message.erase(0, kPrefix);
      stream.input.clear();
    } else {
      ready.request.message = stream.input.substr(kPrefix, size);
      stream.input.erase(0, kPrefix + size);
    }
    if (compressed) {
      auto inflated = stream.encoding == "gzip"
                          ? inflate_gzip(ready.request.message, options_.message_bytes)
                          : Result<std::string>(fail(Code::Unimplemented, "unknown grpc-encoding"));
      if (!inflated) {
        conclude(id, stream, inflated.error());
        return;
      }
      ready.request.message = std::move(*inflated);
    }
    stream.called = true;
    stream.several = options_.bidirectional && options_.bidirectional(stream.path);
    stream.busy = stream.several;
    ready_.push_back(std::move(ready));
  }
}

bool Http2Connection::check_request(std::int32_t id, const Stream& stream) {
  if (stream.content_type.starts_with("application/grpc")) {
    return true;
  }
  const nghttp2_nv headers[] = {header(":status", "415")};
  nghttp2_submit_response(session_, id, headers, std::size(headers), nullptr);
  return false;
}

void Http2Connection::on_end(std::int32_t id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) {
    return;
  }
  found->second.ended = true;
  if (found->second.several) {
    end_if_answered(id, found->second);
  } else if (!found->second.called && !found->second.finished && check_request(id, found->second)) {
    conclude(id, found->second, {Code::Internal, "the call ended without a whole message"});
  }
}

/// A bidirectional call ends once the client has and every message is answered.
void Http2Connection::end_if_answered(std::int32_t id, Stream& stream) {
  if (stream.ended && !stream.busy) {
    conclude(id, stream, {Code::Ok, ""});
  }
}

void Http2Connection::start_response(std::int32_t id, Stream& stream) {
  stream.started = true;
  const nghttp2_nv headers[] = {header(":status", "200"), header("content-type", "application/grpc")};
  nghttp2_data_provider provider{};
  provider.source.ptr = nullptr;
  provider.read_callback = [](nghttp2_session*, std::int32_t at, std::uint8_t* into, std::size_t room,
                              std::uint32_t* flags, nghttp2_data_source*,
                              void* user) { return self(user).read_output(at, into, room, flags); };
  nghttp2_submit_response(session_, id, headers, std::size(headers), &provider);
}

ssize_t Http2Connection::read_output(std::int32_t id, std::uint8_t* into, std::size_t room, std::uint32_t* flags) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  Stream& stream = found->second;
  const std::size_t left = stream.output.size() - stream.output_sent;
  if (left == 0 && !stream.finished) {
    stream.deferred = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  const std::size_t take = std::min(left, room);
  std::copy_n(stream.output.data() + stream.output_sent, take, into);
  stream.output_sent += take;
  if (stream.output_sent == stream.output.size()) {
    stream.output.clear();
    stream.output_sent = 0;
    if (stream.finished) {
      *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
      const std::string code = std::to_string(static_cast<int>(stream.failure.code));
      const std::string text = encode_message(stream.failure.message);
      const nghttp2_nv trailers[] = {header("grpc-status", code), header("grpc-message", text)};
      nghttp2_submit_trailer(session_, id, trailers, text.empty() ? 1 : 2);
    }
  }
  return static_cast<ssize_t>(take);
}

/// A call that fails before its first message: one header block says all.
void Http2Connection::end_without_message(std::int32_t id, const Stream& stream) {
  const std::string code = std::to_string(static_cast<int>(stream.failure.code));
  const std::string text = encode_message(stream.failure.message);
  const nghttp2_nv headers[] = {header(":status", "200"), header("content-type", "application/grpc"),
                                header("grpc-status", code), header("grpc-message", text)};
  nghttp2_submit_response(session_, id, headers, std::size(headers), nullptr);
}

/// @pre mutex_ is held
void Http2Connection::conclude(std::int32_t id, Stream& stream, Failure failure) {
  if (stream.finished) {
    return;
  }
  stream.finished = true;
  stream.failure = std::move(failure);
  buffered_ -= stream.input.size();
  stream.input.clear();
  if (stream.started) {
    wake(id, stream);
  } else {
    end_without_message(id, stream);
  }
}

void Http2Connection::wake(std::int32_t id, Stream& stream) {
  if (stream.deferred) {
    stream.deferred = false;
    nghttp2_session_resume_data(session_, id);
  }
}

bool Http2Connection::has(std::int32_t id) {
  const std::lock_guard lock(mutex_);
  return streams_.contains(id) && !gone_;
}

void Http2Connection::deliver(std::int32_t id, const std::string* message, Failure* failure) {
  const std::lock_guard lock(mutex_);
  const auto found = streams_.find(id);
  if (found == streams_.end() || found->second.finished) {
    return;
  }
  Stream& stream = found->second;
  if (message != nullptr) {
    stream.output += frame_message(*message);
    if (stream.started) {
      wake(id, stream);
    } else {
      start_response(id, stream);
    }
  }
  if (failure != nullptr) {
    conclude(id, stream, std::move(*failure));
  } else if (stream.several) {
    stream.busy = false;
    take_messages(id, stream);
    end_if_answered(id, stream);
    post_ready();
  }
  if (!flush()) {
    ::shutdown(fd(), SHUT_RDWR);  // on_ready() sees the end
  }
}

/// Sends what nghttp2 has to send; false when the connection is over. @pre mutex_ is held
bool Http2Connection::flush() {
  if (gone_ || writing_) {
    return !gone_;
  }
  while (true) {
    if (sent_ == output_.size()) {
      output_.clear();
      sent_ = 0;
      const std::uint8_t* data = nullptr;
      ssize_t size = 0;
      while (output_.size() < (256 << 10) && (size = nghttp2_session_mem_send(session_, &data)) > 0) {
        output_.append(reinterpret_cast<const char*>(data), static_cast<std::size_t>(size));
      }
      if (size < 0) {
        return false;
      }
      if (output_.empty()) {
        return nghttp2_session_want_read(session_) != 0 || nghttp2_session_want_write(session_) != 0;
      }
    }
    switch (transmit(output_, sent_)) {
      case Io::Done: break;
      case Io::Again:
        writing_ = true;
        rearm(true);
        return true;
      case Io::Closed: return false;
    }
  }
}

void Http2Connection::on_ready() {
  std::vector<Ready> ready;
  {
    const std::lock_guard lock(mutex_);
    if (gone_) {
      return;
    }
    writing_ = false;
    bool alive = true;
    while (alive) {
      const Io got = receive(input_);
      if (got == Io::Closed) {
        alive = false;
      } else if (got == Io::Again) {
        break;
      } else {
        const auto used =
            nghttp2_session_mem_recv(session_, reinterpret_cast<const std::uint8_t*>(input_.data()), input_.size());
        alive = used >= 0;
        input_.clear();
        never_expire();
      }
    }
    if (!flush() || !alive) {
      gone_ = true;
      streams_.clear();
      finish();
      return;
    }
    if (!writing_) {
      rearm(false);
    }
    ready = std::move(ready_);
    ready_.clear();
  }
  run(std::move(ready));
}

/// The first call runs here, others on threads that are free.
void Http2Connection::run(std::vector<Ready> ready) {
  for (std::size_t i = 1; i < ready.size(); ++i) {
    post(std::move(ready[i]));
  }
  if (!ready.empty()) {
    auto self_ref = std::static_pointer_cast<Http2Connection>(shared_from_this());
    handler_(std::move(ready[0].request), std::make_shared<Call>(self_ref, ready[0].id));
  }
}

void Http2Connection::post(Ready ready) {
  auto self_ref = std::static_pointer_cast<Http2Connection>(shared_from_this());
  auto one = std::make_shared<Ready>(std::move(ready));
  server().post(
      [self_ref, one] { self_ref->handler_(std::move(one->request), std::make_shared<Call>(self_ref, one->id)); });
}

/// Hands on what deliver() found. @pre mutex_ is held
void Http2Connection::post_ready() {
  for (Ready& one : ready_) {
    post(std::move(one));
  }
  ready_.clear();
}

void Http2Connection::drain() {
  const std::lock_guard lock(mutex_);
  if (gone_) {
    return;
  }
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                        NGHTTP2_NO_ERROR, nullptr, 0);
  if (!flush()) {
    ::shutdown(fd(), SHUT_RDWR);
  }
}

}  // namespace

std::optional<std::chrono::nanoseconds> read_grpc_timeout(std::string_view text) {
  std::int64_t count = 0;
  if (text.size() < 2 || text.size() > 9) {
    return std::nullopt;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size() - 1, count);
  if (error != std::errc{} || end != text.data() + text.size() - 1 || count < 0) {
    return std::nullopt;
  }
  switch (text.back()) {
    case 'H': return std::chrono::hours(count);
    case 'M': return std::chrono::minutes(count);
    case 'S': return std::chrono::seconds(count);
    case 'm': return std::chrono::milliseconds(count);
    case 'u': return std::chrono::microseconds(count);
    case 'n': return std::chrono::nanoseconds(count);
    default: return std::nullopt;
  }
}

Accept grpc_port(const GrpcOptions& options, const GrpcHandler& handler, TlsContext* tls) {
  return [&options, &handler, tls](Server& server, os::Fd fd) -> std::shared_ptr<Connection> {
    std::unique_ptr<TlsSession> session = tls == nullptr ? nullptr : tls->accept(fd.get());
    if (tls != nullptr && !session) {
      return nullptr;
    }
    return std::make_shared<Http2Connection>(server, std::move(fd), std::move(session), options, handler);
  };
}

}  // namespace slip::serving
