// Bytes on a gRPC connection: HTTP/2 frames, header compression, messages in frames. Whatever arrives, in whatever
// pieces, ends in answers or in a closed connection.
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>

#include "serving/http/grpc.h"

namespace {

using namespace slip::serving;

void echo(GrpcRequest&& request, GrpcStreamRef stream) {
  if (request.path.ends_with("/Stream")) {
    stream->send(std::move(request.message));
  } else if (request.path.ends_with("/Fail")) {
    stream->finish({Code::InvalidArgument, request.message});
  } else {
    stream->reply(std::move(request.message));
  }
}

/// Everything that the server side has sent so far is read and dropped.
void drain(int fd) {
  char sink[4096];
  while (::recv(fd, sink, sizeof sink, MSG_DONTWAIT) > 0) {
  }
}

void feed(std::string_view bytes, std::size_t piece) {
  static const GrpcOptions options{64 << 10, 16, [](std::string_view path) { return path.ends_with("/Stream"); }};
  static const GrpcHandler handler = echo;
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    return;
  }
  Server server;  // without threads: this one plays them
  const slip::os::Fd client(ends[0]);
  const auto connection = grpc_port(options, handler, nullptr)(server, slip::os::Fd(ends[1]));
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    const std::string_view part = bytes.substr(at, piece);
    if (::send(client.get(), part.data(), part.size(), MSG_NOSIGNAL) < 0) {
      break;
    }
    connection->on_ready();
    drain(client.get());
  }
  ::shutdown(client.get(), SHUT_WR);
  connection->on_ready();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 16384) {
    return 0;
  }
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  // With the preface in front, so that the fuzzer need not find it, and as it is.
  feed("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + std::string(bytes), 16384 + 64);
  if (size > 0) {
    feed("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + std::string(bytes), 1 + size / 7);
    feed(bytes, size);
  }
  return 0;
}
