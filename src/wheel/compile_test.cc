#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "codec/sha256.h"
#include "core/error.h"
#include "core/text.h"
#include "os/process.h"
#include "wheel/wheel.h"

namespace slip::wheel {
namespace {

namespace fs = std::filesystem;
using codec::LayerItem;

/// The machine's own Python: version and standard library; an empty version when it cannot stand in for an image's.
struct HostPython {
  std::string version;  ///< "3.11"
  fs::path library;

  HostPython() {
    os::Command ask;
    ask.argv = {"/usr/bin/python3", "-c",
                "import sys, os; print('%d.%d' % sys.version_info[:2], os.path.dirname(os.__file__))"};
    try {
      const std::string told = os::run_checked(ask);
      const auto words = split_words(told);
      if (words.size() == 2 && words[1].starts_with("/usr/lib/") &&
          fs::exists("/usr/bin/python" + std::string(words[0]))) {
        version = words[0];
        library = words[1];
      }
    } catch (const Error&) {
      // Left empty: the tests say that they skip.
    }
  }
};

const HostPython& host_python() {
  static const HostPython python;
  return python;
}

class CompileTest : public testing::Test {
 protected:
  void SetUp() override {
    if (host_python().version.empty()) {
      GTEST_SKIP() << "no /usr/bin/python3 of the distribution";
    }
    ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0);
    target_.root = dir_.path() / "root";
    target_.python = target_.full_version = host_python().version;
    target_.glibc = "2.31";
    target_.build_id = "test";
    for (const char* folder : {"proc", "sys", "dev", "run", "tmp", "mnt", "etc"}) {
      fs::create_directories(target_.root / folder);
    }
    const std::string program = "/usr/bin/python" + host_python().version;
    put(program);
    os::Command ldd;
    ldd.argv = {"ldd", program};
    for (const std::string_view word : split_words(libraries_ = os::run_checked(ldd))) {
      if (word.starts_with('/')) {
        put(std::string(word));
      }
    }
    // What `-S` and the imports of the compiling program need of the standard library.
    const std::string library = host_python().library.string();
    for (const auto& entry : fs::directory_iterator(library)) {
      const std::string name = entry.path().filename().string();
      if (name.ends_with(".py")) {
        put(entry.path().string());
      } else if (name == "encodings" || name == "importlib" || name == "collections" || name == "re") {
        fs::create_directories(target_.root / library.substr(1));
        fs::copy(entry.path(), target_.root / entry.path().string().substr(1), fs::copy_options::recursive);
      }
    }
    if (::geteuid() == 0) {  // the tree belongs to the sandbox's user, as those of real images do
      os::Command chown;
      chown.argv = {"chown", "-R", "64999:64999", target_.root};
      os::run_checked(chown);
    }
  }

  void put(const std::string& path) {
    const fs::path to = target_.root / path.substr(1);
    fs::create_directories(to.parent_path());
    fs::copy_file(path, to, fs::copy_options::overwrite_existing);
  }

  WheelInput make(const std::string& name, const std::string& source) {
    const std::string file = name + "-1.0-py3-none-any.whl";
    os::Command command;
    command.cwd = dir_.path();
    command.argv = {"/usr/bin/python3", "-c",
                    "import sys, zipfile\n"
                    "name, file = sys.argv[1:]\n"
                    "info = name + '-1.0.dist-info/'\n"
                    "with zipfile.ZipFile(file, 'w') as z:\n"
                    "    def add(n, t): z.writestr(zipfile.ZipInfo(n), t)\n"
                    "    text = sys.stdin.read()\n"
                    "    add(name + '/__init__.py', text)\n"
                    "    for i in range(12): add(f'{name}/m{i}.py', text)\n"
                    "    add(name + '/broken.py', 'def (:\\n')\n"
                    "    add(name + '/latin.py', b'x = \"\\xff\"\\n')\n"
                    "    add(info + 'WHEEL', 'Wheel-Version: 1.0\\n')\n",
                    name, file};
    command.input = source;
    os::run_checked(command);
    const fs::path path = dir_.path() / file;
    return {path, file, codec::sha256(os::read_file(path)), false};
  }

  /// Byte code by path, compiled into a store of its own.
  std::map<std::string, std::string> compiled(const std::string& store_name, const std::vector<WheelInput>& wheels) {
    store::Store store(dir_.path() / store_name);
    std::map<std::string, std::string> code;
    for (const auto& items : compile(wheels, target_, store, launch::host_id(64999), events_)) {
      for (const LayerItem& item : items) {
        if (const auto* content = std::get_if<codec::FileContent>(&item.content)) {
          EXPECT_EQ(item.entry.mode, 0644U);
          EXPECT_EQ(item.entry.mtime, 315532800);
          code[item.entry.path] = os::read_file(content->path);
        }
      }
    }
    return code;
  }

  os::TempDir dir_{fs::temp_directory_path(), "compile-test-"};
  Target target_;
  std::string libraries_;
  NullEvents events_;
};

/// Sources that share texts and hold sets. There are more files than interpreters, so that some follow each other.
constexpr const char* kOne =
    "a = 'shared text'\nb = frozenset({'x', 'y', 'z', 1, 2.5})\ndef f(x=('shared text', 1)): return a\n";
constexpr const char* kTwo = "c = 'shared text'\nd = ('shared text', 1)\nclass C:\n    e = {'shared text': d}\n";

TEST_F(CompileTest, TheOrderOfWheelsDoesNotChangeTheirBytes) {
  const WheelInput one = make("one", kOne);
  const WheelInput two = make("two", kTwo);
  const auto forward = compiled("store-1", {one, two});
  EXPECT_EQ(compiled("store-2", {two, one}), forward);
  auto alone = compiled("store-3", {one});
  alone.merge(compiled("store-4", {two}));
  EXPECT_EQ(alone, forward);
  EXPECT_EQ(forward.size(), 26U) << "what is no Python 3 has no byte code";
}

TEST_F(CompileTest, TheInterpreterTakesItWithoutTheSource) {
  const auto code = compiled("store", {make("one", kOne)});
  std::string tag = "cpython-" + target_.python;
  std::erase(tag, '.');
  const std::string path =
      "opt/venv/lib/python" + target_.python + "/site-packages/one/__pycache__/__init__." + tag + ".pyc";
  ASSERT_TRUE(code.contains(path));
  os::write_file(dir_.path() / "one.pyc", code.at(path));
  os::Command command;
  command.cwd = dir_.path();
  command.argv = {"/usr/bin/python3", "-c",
                  "import importlib.util, marshal, sys\n"
                  "data = open('one.pyc', 'rb').read()\n"
                  "source = sys.stdin.buffer.read()\n"
                  "assert data[:4] == importlib.util.MAGIC_NUMBER\n"
                  "assert data[4:8] == (1).to_bytes(4, 'little'), 'unchecked hash'\n"
                  "assert data[8:16] == importlib.util.source_hash(source)\n"
                  "code = marshal.loads(data[16:])\n"
                  "assert marshal.dumps(code, 2) == data[16:], 'no references'\n"
                  "names = {}\n"
                  "exec(code, names)\n"
                  "print(code.co_filename, names['f']())\n"};
  command.env = {{"PATH", "/usr/bin:/bin"}, {"PYTHONHASHSEED", "0"}};
  command.input = kOne;
  EXPECT_EQ(os::run_checked(command),
            "/opt/venv/lib/python" + target_.python + "/site-packages/one/__init__.py shared text\n");
}

TEST_F(CompileTest, ItIsKeptPerInterpreterAndPrefix) {
  const WheelInput one = make("one", kOne);
  const auto first = compiled("store", {one});
  fs::rename(target_.root / ("usr/bin/python" + target_.python), target_.root / "usr/bin/away");
  EXPECT_EQ(compiled("store", {one}), first) << "nothing is compiled again";
  target_.build_id = "another";
  EXPECT_THROW(compiled("store", {one}), Error);
}

}  // namespace
}  // namespace slip::wheel
