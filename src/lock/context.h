#pragma once

#include "config/config.h"
#include "core/events.h"
#include "http/client.h"
#include "launch/native.h"
#include "store/store.h"

namespace slip::lock {

/// What locking and building need of the host. Everything is owned by the caller and outlives the call.
struct Context {
  const config::Config& config;
  store::Store& store;
  http::Client& http;
  Events& events;
  launch::HostId id;     ///< host id of sandboxes (see launch::host_id)
  bool offline = false;  ///< only what the store holds; anything else is an error that names what is missing
};

}  // namespace slip::lock
