#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "core/error.h"

/// What this room's tests share: a folder of their own and the other tools that judge us.
namespace slip::codec {

/// A private folder that goes with the object.
class Scratch {
 public:
  Scratch() {
    std::string name = (std::filesystem::temp_directory_path() / "codec-test-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      throw Error(ErrorKind::Unavailable, "make the folder {}", name);
    }
    dir_ = name;
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::filesystem::remove_all(dir_); }

  [[nodiscard]] std::filesystem::path path(const std::string& name) const { return dir_ / name; }
  void write(const std::string& name, std::string_view bytes) const {
    std::ofstream(dir_ / name, std::ios::binary) << bytes;
  }
  [[nodiscard]] std::string read(const std::string& name) const {
    std::ifstream in(dir_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  /// Standard output of a shell command that runs in the folder and must succeed.
  [[nodiscard]] std::string shell(const std::string& command) const {
    FILE* pipe = ::popen(("cd '" + dir_.string() + "' && " + command).c_str(), "r");
    std::string out;
    char buffer[4096];
    while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) {
      out.append(buffer, n);
    }
    EXPECT_EQ(::pclose(pipe), 0) << command;
    return out;
  }
  /// The same for a Python program.
  [[nodiscard]] std::string python(const std::string& program) const {
    write("program.py", program);
    return shell("python3 program.py");
  }

 private:
  std::filesystem::path dir_;
};

/// The message of the error that `body` ends with; a failed expectation when there is none or of another kind.
template <class Body>
std::string message(ErrorKind kind, Body body) {
  try {
    body();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), kind) << e.joined();
    return e.joined();
  }
  ADD_FAILURE() << "no error";
  return {};
}

}  // namespace slip::codec
