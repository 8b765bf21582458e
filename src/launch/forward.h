#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "launch/native.h"
#include "os/fd.h"
#include "os/process.h"

/// Ports between the host and a network namespace that has only lo: no tun device, no privilege beyond our own
/// namespaces. A listening socket belongs for ever to the namespace it was made in, whoever accepts from it; that is
/// the whole trick.
namespace slip::launch {

/// A TCP socket that listens on 127.0.0.1 of our network namespace; port 0: any free one.
/// @throws Error Conflict when the port is taken
os::Fd listen_on_loopback(std::uint16_t port);
/// The port of a listening socket.
std::uint16_t port_of(const os::Fd& listener);

/// One published port.
struct Forward {
  os::Fd listener;           ///< on the host
  std::uint16_t inside = 0;  ///< port on 127.0.0.1 of the namespace
};

/// Carries connections of the listeners into the network namespace of `target`, in a process of its own that has left
/// the caller's namespace, has no capability and dies with the caller's thread. The listeners stay the caller's too:
/// when that process is killed, who connects waits for the next one.
os::Child start_forwarder(const std::vector<Forward>& forwards, pid_t target, const HostId& id);

/// What the outbound gateway lets through and whom it asks.
struct Outbound {
  /// Proxy of the host, "http://[USER:PASSWORD@]HOST:PORT"; empty: connects itself.
  std::string proxy;
  std::vector<std::string> no_proxy;  ///< suffixes of hosts that are reached without it
  /// "HOST:PORT" on the host's own loopback that may be reached all the same (a package index there).
  std::vector<std::string> loopback;
};

/// An HTTP proxy (CONNECT, and http:// requests) that listens on 127.0.0.1:`port` inside the namespace of `target` and
/// connects from the host's. The host's own loopback and link-local addresses are refused. In a process of its own.
os::Child start_outbound(const Outbound& outbound, std::uint16_t port, pid_t target, const HostId& id);

}  // namespace slip::launch
