#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "core/events.h"
#include "http/fault_server.h"
#include "os/file.h"
#include "wheel/index.h"

/// What the tests of this room share.
namespace slip::wheel {

/// A made-up index on the loopback, the source `pypi`, and what asks it.
class IndexTest : public testing::Test {
 protected:
  IndexTest()
      : scratch_(std::filesystem::temp_directory_path(), "slip-index-"),
        store_(scratch_.path() / "store"),
        client_(http::Options{}, events_) {
    config_.sources.python["pypi"] = {server_.url("/simple")};
  }

  /// Has the index answer for the project `x`.
  void serve(const std::string& type, const std::string& body) {
    http::Answer page;
    page.headers["Content-Type"] = type;
    page.body = body;
    server_.on("/simple/x/", page);
  }

  NullEvents events_;
  http::FaultServer server_;
  os::TempDir scratch_;
  store::Store store_;
  http::Client client_;
  config::Config config_;
};

}  // namespace slip::wheel
