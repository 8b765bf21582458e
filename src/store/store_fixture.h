#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>

#include "core/error.h"
#include "store/store.h"

namespace slip::store {

namespace fs = std::filesystem;

/// A store in a folder of the test's, and what tests of stores share.
class StoreTest : public testing::Test {
 protected:
  os::TempDir dir_{fs::temp_directory_path(), "store-test-"};
  fs::path root_ = dir_.path() / "store";

  static void write(const fs::path& file, std::string_view text) { std::ofstream(file, std::ios::binary) << text; }
  static std::vector<std::string> names(const fs::path& folder) {
    std::vector<std::string> all;
    for (const auto& entry : fs::directory_iterator(folder)) {
      all.push_back(entry.path().filename().string());
    }
    std::ranges::sort(all);
    return all;
  }
  static ErrorKind kind_of(const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& e) {
      return e.kind();
    }
    ADD_FAILURE() << "no error";
    return ErrorKind::Usage;
  }
  /// Runs body in a child; its wait status.
  template <class Body>
  static int in_child(Body body) {
    const pid_t child = ::fork();
    if (child == 0) {
      int code = 99;
      try {
        code = body();
      } catch (const Error& e) {
        std::fprintf(stderr, "%s\n", e.joined().c_str());
      }
      ::_exit(code);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return status;
  }
  /// For n = 1, 2…: runs body on a new store in a child that is killed before its n-th durable step, then check, then
  /// body again to its end and check again; until a child gets through. Returns how many were killed.
  int kill_at_every_step(const std::function<void(const fs::path&)>& body,
                         const std::function<void(const fs::path&)>& check) {
    for (int n = 1; n < 200; ++n) {
      const fs::path root = dir_.path() / std::to_string(n);
      const int status = in_child([&] {
        ::setenv("SLIPWAY_TEST_KILL_AT", std::to_string(os::durable_steps() + static_cast<std::uint64_t>(n)).c_str(),
                 1);
        body(root);
        return 0;
      });
      if (WIFEXITED(status)) {
        EXPECT_EQ(WEXITSTATUS(status), 0);
        return n - 1;
      }
      EXPECT_EQ(WTERMSIG(status), SIGKILL);
      check(root);
      body(root);
      check(root);
    }
    return -1;
  }
};

}  // namespace slip::store
