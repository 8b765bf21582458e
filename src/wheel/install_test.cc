#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "codec/compress.h"
#include "codec/sha256.h"
#include "core/error.h"
#include "core/text.h"
#include "os/process.h"
#include "wheel/archive.h"
#include "wheel/dist_info.h"
#include "wheel/wheel.h"

namespace slip::wheel {
namespace {

namespace fs = std::filesystem;
using codec::LayerItem;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// wheel(FILE, {name: text or (text, mode)}) writes a wheel with WHEEL, METADATA and RECORD unless they are given
/// (None: left out). `forget` is not in RECORD, `lie` has another hash there.
constexpr const char* kMaker = R"(
import base64, csv, hashlib, io, zipfile
def wheel(file, entries, forget=(), lie=()):
    name, version = file.split('-')[:2]
    info = f'{name}-{version}.dist-info/'
    all = {info + 'WHEEL': 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
           info + 'METADATA': f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n'}
    all.update(entries)
    all = {k: v if isinstance(v, tuple) else (v, 0o644) for k, v in all.items() if v is not None}
    if info + 'RECORD' not in all:
        rows = io.StringIO()
        out = csv.writer(rows, lineterminator='\n')
        for k, (text, mode) in all.items():
            digest = hashlib.sha256(text.encode() + (b'!' if k in lie else b'')).digest()
            if k not in forget:
                out.writerow((k, 'sha256=' + base64.urlsafe_b64encode(digest).decode().rstrip('='), len(text.encode())))
        out.writerow((info + 'RECORD', '', ''))
        all[info + 'RECORD'] = (rows.getvalue(), 0o644)
    with zipfile.ZipFile(file, 'w', zipfile.ZIP_DEFLATED) as z:
        for k, (text, mode) in all.items():
            i = zipfile.ZipInfo(k)
            i.compress_type = zipfile.ZIP_DEFLATED
            i.external_attr = (0o100000 | mode) << 16
            z.writestr(i, text)
)";

/// A wheel with a bit of everything; the name of its file.
constexpr const char* kRich = R"(
wheel('rich_pkg-1.2-py3-none-any.whl', {
    'rich_pkg/__init__.py': 'VALUE = 1\n' * 200,
    'rich_pkg/__main__.py': 'print(1)\n',
    'rich_pkg/empty.py': '',
    'rich_pkg/tool.sh': ('#!/bin/sh\necho tool\n', 0o755),
    'rich_pkg/odd, "name".txt': 'odd\n',
    'rich_pkg/forgotten.txt': 'not in RECORD\n',
    'rich_pkg-1.2.data/scripts/rich-script': ('#!python -u\nprint("s")\n', 0o755),
    'rich_pkg-1.2.data/scripts/rich-shell': ('#!/bin/sh\necho s\n', 0o755),
    'rich_pkg-1.2.data/data/share/rich/doc.txt': 'doc\n',
    'rich_pkg-1.2.data/data/etc/rich.conf': 'conf\n',
    'rich_pkg-1.2.data/purelib/rich_pure.py': 'p = 1\n',
    'rich_pkg-1.2.data/platlib/rich_plat.py': 'q = 1\n',
    'rich_pkg-1.2.dist-info/entry_points.txt':
        '[console_scripts]\nrich = rich_pkg.__main__:main\nrich2 = rich_pkg:App.run [x]\n[gui_scripts]\nrich-gui = rich_pkg:gui\n',
}, forget=['rich_pkg/forgotten.txt'])
)";
constexpr const char* kRichFile = "rich_pkg-1.2-py3-none-any.whl";

class InstallTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(::chmod(dir_.path().c_str(), 0755), 0);  // the sandbox's user looks in
    target_.python = "3.9";
    target_.full_version = "3.9.2";
    target_.glibc = "2.31";
  }

  std::string python(const std::string& program) {
    os::write_file(dir_.path() / "program.py", program);
    os::Command command;
    command.argv = {"python3", "program.py"};
    command.cwd = dir_.path();
    return os::run_checked(command);
  }

  WheelInput input(const std::string& file) {
    return {dir_.path() / file, file, codec::sha256(os::read_file(dir_.path() / file)), false};
  }
  /// Makes the wheel that a Python expression describes.
  WheelInput make(const std::string& call, const std::string& file) {
    python(kMaker + call);
    return input(file);
  }
  WheelInput make_entries(const std::string& entries, const std::string& more = "") {
    return make("wheel('x-1.0-py3-none-any.whl', " + entries + more + ")\n", "x-1.0-py3-none-any.whl");
  }

  std::vector<LayerItem> install_it(const WheelInput& wheel) { return install(wheel, target_, store_, id_); }

  /// What installing such a wheel says.
  std::string refusal(const std::string& entries, ErrorKind kind, const std::string& more = "") {
    try {
      install_it(make_entries(entries, more));
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), kind) << e.joined();
      return e.joined();
    }
    ADD_FAILURE() << "installed: " << entries;
    return {};
  }

  static std::string content(const LayerItem& item) {
    if (const auto* text = std::get_if<codec::InlineContent>(&item.content)) {
      return text->bytes;
    }
    if (const auto* file = std::get_if<codec::FileContent>(&item.content)) {
      return os::read_file(file->path);
    }
    if (const auto* spliced = std::get_if<codec::SplicedContent>(&item.content)) {
      const std::string archive = os::read_file(spliced->archive);
      BytesSink plain;
      codec::inflate_exact(as_bytes(archive).subspan(spliced->offset, spliced->compressed_size), item.entry.size,
                           spliced->crc32, plain, item.entry.path);
      EXPECT_EQ(as_text(plain.data), os::read_file(spliced->plain));
      return std::string(as_text(plain.data));
    }
    return {};
  }
  static const LayerItem& at(const std::vector<LayerItem>& items, const std::string& path) {
    const auto found = std::ranges::find(items, path, [](const LayerItem& i) { return i.entry.path; });
    if (found == items.end()) {
      throw Error(ErrorKind::NotFound, "no `{}` among what was installed", path);
    }
    return *found;
  }
  static std::vector<std::string> paths(const std::vector<LayerItem>& items) {
    std::vector<std::string> all;
    for (const LayerItem& item : items) {
      all.push_back(item.entry.path);
    }
    return all;
  }

  os::TempDir dir_{fs::temp_directory_path(), "install-test-"};
  store::Store store_{dir_.path() / "store"};
  launch::HostId id_ = launch::host_id(64999);
  Target target_;
  const std::string site_ = "opt/venv/lib/python3.9/site-packages/";
  const std::string info_ = "opt/venv/lib/python3.9/site-packages/rich_pkg-1.2.dist-info/";
};

TEST_F(InstallTest, EverySchemeHasItsPlace) {
  const auto items = install_it(make(kRich, kRichFile));
  EXPECT_EQ(content(at(items, site_ + "rich_pkg/__main__.py")), "print(1)\n");
  EXPECT_EQ(at(items, site_ + "rich_pkg/__main__.py").entry.mode, 0644U);
  EXPECT_EQ(at(items, site_ + "rich_pkg/tool.sh").entry.mode, 0755U);
  EXPECT_EQ(content(at(items, site_ + "rich_pkg/empty.py")), "");
  EXPECT_EQ(content(at(items, site_ + "rich_pure.py")), "p = 1\n");
  EXPECT_EQ(content(at(items, site_ + "rich_plat.py")), "q = 1\n");
  EXPECT_EQ(content(at(items, "opt/venv/share/rich/doc.txt")), "doc\n");
  EXPECT_EQ(content(at(items, "opt/venv/etc/rich.conf")), "conf\n");
  EXPECT_EQ(content(at(items, "opt/venv/bin/rich-shell")), "#!/bin/sh\necho s\n")
      << "only python's shebang is replaced";
  EXPECT_EQ(content(at(items, "opt/venv/bin/rich-script")), "#!/opt/venv/bin/python\nprint(\"s\")\n");
  EXPECT_EQ(content(at(items, info_ + "INSTALLER")), "slipway\n");
  EXPECT_THAT(paths(items), Not(Contains(info_ + "REQUESTED")));
  EXPECT_THAT(paths(items), Contains("opt/venv/lib/python3.9"));
  codec::encode_layer(items, *std::make_unique<NullSink>());  // throws unless sorted, whole and without duplicates
}

TEST_F(InstallTest, LongFilesAreSplicedAndStillTheSame) {
  const auto items =
      install_it(make("import random\nrandom.seed(1)\nt = ''.join(random.choice('abcdefgh') for i in range(9000))\n"
                      "wheel('x-1.0-py3-none-any.whl', {'x.py': t})\n",
                      "x-1.0-py3-none-any.whl"));
  const LayerItem& item = at(items, site_ + "x.py");
  EXPECT_TRUE(std::holds_alternative<codec::SplicedContent>(item.content));
  EXPECT_EQ(content(item).size(), 9000U);
}

TEST_F(InstallTest, RecordNamesEveryFileWithItsHash) {
  WheelInput wheel = make(kRich, kRichFile);
  wheel.requested = true;
  const auto items = install_it(wheel);
  std::vector<std::string> named;
  for (const RecordRow& row : parse_record(content(at(items, info_ + "RECORD")))) {
    const std::string path = (fs::path(site_) / row.path).lexically_normal().string();
    named.push_back(path);
    if (path == info_ + "RECORD" || path == site_ + "rich_pkg/forgotten.txt") {
      EXPECT_EQ(row.hash + row.size, "") << path;
      continue;
    }
    const std::string bytes = content(at(items, path));
    EXPECT_EQ(row.hash, "sha256=" + base64url(codec::sha256(bytes))) << path;
    EXPECT_EQ(row.size, std::to_string(bytes.size())) << path;
  }
  std::vector<std::string> files;
  for (const LayerItem& item : items) {
    if (item.entry.type == codec::FileType::Regular) {
      files.push_back(item.entry.path);
    }
  }
  EXPECT_THAT(named, testing::UnorderedElementsAreArray(files));
  EXPECT_THAT(named, Contains(info_ + "REQUESTED"));
}

TEST_F(InstallTest, LaunchersRunTheirFunction) {
  target_.prefix = (dir_.path() / "venv").string();
  const WheelInput wheel = make(
      "wheel('cmd-1.0-py3-none-any.whl', {'cmd.py': 'import sys\\nclass App:\\n    @staticmethod\\n    def run():\\n"
      "        print(sys.argv[1])\\n        return 3\\n',\n"
      "  'cmd-1.0.dist-info/entry_points.txt': '[console_scripts]\\ncmd = cmd:App.run\\n'})\n",
      "cmd-1.0-py3-none-any.whl");
  const auto items = install_it(wheel);
  const LayerItem& launcher = at(items, target_.prefix.substr(1) + "/bin/cmd");
  EXPECT_EQ(launcher.entry.mode, 0755U);
  EXPECT_TRUE(content(launcher).starts_with("#!" + target_.prefix + "/bin/python\n"));
  os::write_file(dir_.path() / "launcher", content(launcher));
  os::Command command;
  command.argv = {"python3", "launcher", "hello"};
  command.cwd = dir_.path();
  command.env = {{"PATH", std::getenv("PATH")}, {"PYTHONPATH", wheel.path.string()}};
  const os::CommandResult ran = os::run_command(command);
  EXPECT_EQ(ran.out, "hello\n") << ran.err;
  EXPECT_EQ(ran.status.code, 3);
}

/// One tree per wheel: a second installation reads it, and gives the same items.
TEST_F(InstallTest, TwiceIsTheSame) {
  const WheelInput wheel = make(kRich, kRichFile);
  const auto first = install_it(wheel);
  const auto second = install_it(wheel);
  EXPECT_EQ(paths(first), paths(second));
  for (std::size_t i = 0; i < first.size(); ++i) {
    EXPECT_TRUE(first[i].entry == second[i].entry && first[i].content == second[i].content) << first[i].entry.path;
  }
}

TEST_F(InstallTest, ByteCodeOfTheBuilderStaysOut) {
  const auto items = install_it(make_entries("{'x/__init__.py': '', 'x/__pycache__/__init__.cpython-39.pyc': 'old'}"));
  EXPECT_THAT(paths(items), Not(Contains(HasSubstr(".pyc"))));
  EXPECT_THAT(content(at(items, site_ + "x-1.0.dist-info/RECORD")), Not(HasSubstr(".pyc")));
}

TEST_F(InstallTest, NamesThatLeadOutAreRefused) {
  for (const std::string name : {"../evil.py", "x/../../evil.py", "/etc/evil", "x-1.0.data/scripts/../../evil"}) {
    EXPECT_THAT(refusal("{'" + name + "': ''}", ErrorKind::Invalid), HasSubstr("is not allowed")) << name;
  }
  EXPECT_THAT(
      refusal("{'x-1.0.dist-info/entry_points.txt': '[console_scripts]\\n../evil = a:b\\n'}", ErrorKind::Invalid),
      HasSubstr("the entry point `../evil = a:b` is not allowed"));
  EXPECT_THAT(refusal("{'x-1.0.data/usr/evil': ''}", ErrorKind::Invalid), HasSubstr("`usr` is no install scheme"));
  EXPECT_THAT(refusal("{'x-1.0.data/evil': ''}", ErrorKind::Invalid), HasSubstr("stands in no scheme"));
}

TEST_F(InstallTest, AWrongHashOfRecordIsRefused) {
  EXPECT_THAT(refusal("{'x.py': 'a = 1\\n'}", ErrorKind::Corrupt, ", lie=['x.py']"),
              HasSubstr("`x.py` of x-1.0-py3-none-any.whl differs from what its RECORD says"));
  EXPECT_THAT(refusal("{'x \"y\".py': 'a = 1\\n'}", ErrorKind::Corrupt, ", lie=['x \"y\".py']"), HasSubstr("differs"))
      << "a name that RECORD quotes";
}

TEST_F(InstallTest, ADamagedArchiveIsRefused) {
  const WheelInput wheel = make_entries("{'x.py': 'a = 1\\n' * 99}");
  std::string bytes = os::read_file(wheel.path);
  const std::size_t data = bytes.find("x.py") + 4;
  bytes[data + 5] = static_cast<char>(bytes[data + 5] ^ 0x10);
  os::write_file(wheel.path, bytes);
  EXPECT_THROW(install_it(input(wheel.file)), Error);
  os::write_file(wheel.path, bytes.substr(0, bytes.size() / 2));
  EXPECT_THROW(install_it(input(wheel.file)), Error);
}

TEST_F(InstallTest, TwoFilesOfOnePlaceAreAConflict) {
  EXPECT_THAT(refusal("{'m.py': '1', 'x-1.0.data/purelib/m.py': '2'}", ErrorKind::Conflict),
              HasSubstr("site-packages/m.py"));
}

TEST_F(InstallTest, WhatIsNoWheelIsRefused) {
  EXPECT_THAT(refusal("{'x-1.0.dist-info/WHEEL': None}", ErrorKind::Invalid),
              HasSubstr("does not say its Wheel-Version"));
  EXPECT_THAT(refusal("{'x-1.0.dist-info/WHEEL': 'Wheel-Version: 2.0\\n'}", ErrorKind::Unsupported),
              HasSubstr("is a wheel of version 2.0"));
  EXPECT_THAT(refusal("{'y-1.0.dist-info/WHEEL': ''}", ErrorKind::Invalid), HasSubstr("holds two dist-info folders"));
  python(std::string(kMaker) + "wheel('y-1.0-py3-none-any.whl', {})\n");
  fs::rename(dir_.path() / "y-1.0-py3-none-any.whl", dir_.path() / "z-1.0-py3-none-any.whl");
  EXPECT_THROW(install_it(input("z-1.0-py3-none-any.whl")), Error);
  os::write_file(dir_.path() / "q-1.0-py3-none-any.whl", "no zip");
  EXPECT_THROW(install_it(input("q-1.0-py3-none-any.whl")), Error);
}

/// pip's own `install --target` of the same wheel: same files, same bytes (but for what names the interpreter and the
/// installer), same modes, and a RECORD of the same rows.
TEST_F(InstallTest, TheTreeIsThatOfPip) {
  const WheelInput wheel = make(kRich, kRichFile);
  os::Command pip;
  pip.argv = {"python3",      "-m",         "pip",
              "install",      "-q",         "--no-deps",
              "--no-compile", "--no-index", "--disable-pip-version-check",
              "--target",     "pip",        wheel.file};
  pip.cwd = dir_.path();
  os::Command version;
  version.argv = {"python3", "-m", "pip", "--version"};
  if (!os::run_command(version).status.ok()) {
    GTEST_SKIP() << "this machine's python3 has no pip";
  }
  os::run_checked(pip);
  // --target lays everything flat: the site folder, bin, share and etc side by side.
  std::map<std::string, const LayerItem*> ours;
  const auto items = install_it(wheel);
  for (const LayerItem& item : items) {
    const std::string& path = item.entry.path;
    if (item.entry.type == codec::FileType::Regular) {
      ours[path.starts_with(site_) ? path.substr(site_.size()) : path.substr(std::string("opt/venv/").size())] = &item;
    }
  }
  std::size_t seen = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dir_.path() / "pip")) {
    const std::string name = entry.path().lexically_relative(dir_.path() / "pip").string();
    if (!entry.is_regular_file() || name.ends_with("/direct_url.json") || name.ends_with("/REQUESTED")) {
      continue;  // of pip's own bookkeeping: how it was asked
    }
    ASSERT_TRUE(ours.contains(name)) << name;
    const LayerItem& item = *ours[name];
    ++seen;
    EXPECT_EQ(item.entry.mode, static_cast<unsigned>(fs::status(entry.path()).permissions()) & 0777U) << name;
    const std::string theirs = os::read_file(entry.path());
    if (name.ends_with("/INSTALLER")) {
      EXPECT_EQ(theirs, "pip\n");
    } else if (name == "bin/rich-script") {
      EXPECT_EQ(content(item).substr(content(item).find('\n')), theirs.substr(theirs.find('\n')));
    } else if (name.ends_with("/RECORD")) {
      const auto flat = [](const std::string& text) {
        std::map<std::string, std::string> rows;
        for (RecordRow& row : parse_record(text)) {
          while (row.path.starts_with("../")) {
            row.path.erase(0, 3);
          }
          const bool made = row.path.starts_with("bin/rich") || row.path.ends_with("/INSTALLER");
          if (!row.path.ends_with("/direct_url.json") && !row.path.ends_with("/REQUESTED")) {
            rows[row.path] = made ? "" : row.hash + " " + row.size;
          }
        }
        return rows;
      };
      EXPECT_EQ(flat(content(item)), flat(theirs));
    } else if (!name.starts_with("bin/") || name == "bin/rich-shell") {
      EXPECT_EQ(content(item), theirs) << name;
    }
  }
  EXPECT_EQ(seen, ours.size()) << "pip made nothing of the others";
}

TEST_F(InstallTest, ModulesToImportAreFound) {
  EXPECT_THAT(top_level_modules(make_entries("{'x/__init__.py': '', 'y.py': '', '_z.so': ''}")),
              testing::ElementsAre("x"));
  EXPECT_THAT(top_level_modules(make_entries(
                  "{'a/__init__.py': '', 'b.cpython-39-x86_64-linux-gnu.so': '', '_z.py': '', 'd/e.py': ''}")),
              testing::UnorderedElementsAre("a", "b"));
  EXPECT_THAT(top_level_modules(make_entries("{'a/__init__.py': '', 'x-1.0.dist-info/top_level.txt': 'q\\n_r\\n'}")),
              testing::ElementsAre("q"));
  EXPECT_THAT(required_names(make_entries(
                  "{'x-1.0.dist-info/METADATA': 'Name: x\\nRequires-Dist: Abc>1\\n\\nRequires-Dist: no\\n'}")),
              testing::ElementsAre("abc"));
}

TEST_F(InstallTest, SharedLibrariesOfALibFolderAreFound) {
  const WheelInput wheel = make_entries(
      "{'n/__init__.py': '', 'n/x/lib/__init__.py': '', 'n/x/lib/libx.so.8': 'e', 'n/x/lib/libx_part.so.8': 'e', "
      "'n/x/lib/README.so': '', 'n/x/include/x.h': '', 'n/x/other/liby.so': 'e'}");
  EXPECT_THAT(shared_libraries(wheel, target_),
              ElementsAre(site_ + "n/x/lib/libx.so.8", site_ + "n/x/lib/libx_part.so.8"));
}

/// The layers of a virtual environment: links that python takes for one.
TEST_F(InstallTest, TheSkeletonIsAVirtualEnvironment) {
  const auto items = venv_skeleton(target_);
  EXPECT_EQ(at(items, "opt/venv/bin/python").entry.link, "/usr/bin/python3.9");
  EXPECT_EQ(at(items, "opt/venv/bin/python3.9").entry.link, "python");
  EXPECT_THAT(content(at(items, "opt/venv/pyvenv.cfg")), HasSubstr("home = /usr/bin\n"));
  EXPECT_THAT(content(at(items, "opt/venv/pyvenv.cfg")), HasSubstr("version = 3.9.2\n"));
}

}  // namespace
}  // namespace slip::wheel
