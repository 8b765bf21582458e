#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "codec/sha256.h"
#include "http/client.h"
#include "http/fault_server.h"
#include "http/retry.h"
#include "os/file.h"

/// What the tests of this room share.
namespace slip::http {

/// Remembers tasks and their last progress.
class Recorder final : public Events {
 public:
  void message(Level, std::string_view) noexcept override {}
  TaskId begin(std::string_view verb, std::string_view what, TaskId) noexcept override {
    lines.push_back(std::string(verb) + " " + std::string(what));
    return lines.size();
  }
  void progress(TaskId id, std::uint64_t done, std::uint64_t total) noexcept override {
    last = {done, total};
    by_task[id].emplace_back(done, total);
  }
  void end(TaskId, bool ok) noexcept override { lines.emplace_back(ok ? "ok" : "not ok"); }
  std::vector<std::string> lines;
  std::pair<std::uint64_t, std::uint64_t> last;
  std::map<TaskId, std::vector<std::pair<std::uint64_t, std::uint64_t>>> by_task;
};

/// `size` bytes that are the same on every run and compress badly.
inline std::string noise(std::size_t size) {
  std::string bytes;
  std::uint32_t state = 12345;
  for (std::size_t i = 0; i < size; ++i) {
    state = state * 1664525 + 1013904223;
    bytes += static_cast<char>(state >> 24);
  }
  return bytes;
}

inline Answer answer(int status, std::string body = "", std::map<std::string, std::string> headers = {}) {
  Answer a;
  a.status = status;
  a.body = std::move(body);
  a.headers = std::move(headers);
  return a;
}

/// A client that never really waits, a server, and a folder to download into.
class HttpTest : public ::testing::Test {
 protected:
  HttpTest() : dir_(std::filesystem::temp_directory_path(), "slip-http") {
    options_.first_pause = Millis{100};
    options_.longest_pause = Millis{1000};
    options_.seed = 7;
    options_.stall_timeout_s = 1;
    options_.no_proxy = "127.0.0.1,localhost";
    options_.on_pause = [this](Millis pause) {
      pauses_.push_back(pause);
      return Millis{0};
    };
  }

  Client client() { return Client(options_, events_); }
  Download file(std::vector<std::string> urls, const std::string& body) {
    return {std::move(urls), dir_.path() / "file", body.size(), codec::sha256(body), "thing 1.0", {}, {}};
  }
  void download(const Download& one) { client().download(std::span(&one, 1)); }
  std::string target() const { return os::read_file(dir_.path() / "file"); }
  std::filesystem::path part() const { return dir_.path() / "file.part"; }
  void write_part(const std::string& text) const { std::ofstream(part(), std::ios::binary) << text; }
  bool clean() const { return !std::filesystem::exists(part()); }

  /// The error that body() ends with.
  template <class Body>
  static Error error_of(Body&& body) {
    try {
      body();
    } catch (const Error& e) {
      return e;
    }
    ADD_FAILURE() << "no error";
    return Error(ErrorKind::Internal, "no error");
  }

  os::TempDir dir_;
  Options options_;
  Recorder events_;
  std::vector<Millis> pauses_;
  FaultServer server_;
};

}  // namespace slip::http
