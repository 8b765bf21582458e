#include "oci/layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "codec/layer.h"
#include "codec/sha256.h"
#include "core/error.h"
#include "oci/media_types.h"
#include "oci/validate.h"
#include "os/file.h"
#include "os/process.h"

namespace slip::oci {
namespace {

using codec::FileType;
using codec::LayerItem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

LayerItem item(std::string path, FileType type, std::string text = {}) {
  LayerItem it;
  it.entry.path = std::move(path);
  it.entry.type = type;
  it.entry.mode = type == FileType::Directory ? 0755 : 0644;
  if (type == FileType::Regular) {
    it.entry.size = text.size();
    if (!text.empty()) {
      it.content = codec::InlineContent{std::move(text)};
    }
  } else {
    it.entry.link = std::move(text);
  }
  return it;
}

LayerSource layer_of(const std::vector<LayerItem>& items) {
  BytesSink bytes;
  const codec::EncodedLayer encoded = codec::encode_layer(items, bytes);
  Descriptor descriptor;
  descriptor.media_type = media::kLayerGzip;
  descriptor.digest = encoded.digest;
  descriptor.size = encoded.size;
  return {descriptor, encoded.diff_id, [data = std::move(bytes.data)](Sink& out) { out.write(data); }, {}};
}

ImageConfig config() {
  ImageConfig c;
  c.created = "2022-05-16T00:00:00Z";
  c.env = {"PATH=/usr/bin:/bin"};
  c.cmd = {"/bin/true"};
  return c;
}

Image sample(const std::string& text = "hello\n") {
  return make_image(config(),
                    {layer_of({item("etc", FileType::Directory), item("etc/old", FileType::Regular, "old"),
                               item("usr", FileType::Directory), item("usr/lib", FileType::Directory),
                               item("usr/lib/x.so", FileType::Symlink, "x.so.1"),
                               item("usr/lib/x.so.1", FileType::Regular, std::string(100'000, 'x'))}),
                     layer_of({item("etc/.wh.old", FileType::Regular), item("etc/new", FileType::Regular, text)})});
}

class LayoutTest : public testing::Test {
 protected:
  os::TempDir dir_{fs::temp_directory_path(), "oci-test-"};
  const fs::path at_ = dir_.path();
  const Reference name_ = Reference::parse("tf29-dev:v1");

  Output layout() const { return {Output::Kind::Layout, at_ / "layout", ""}; }
  Output archive() const { return {Output::Kind::Archive, at_ / "image.tar", ""}; }
  Output docker() const { return {Output::Kind::DockerArchive, at_ / "docker.tar", ""}; }

  static std::vector<std::string> names(const fs::path& folder) {
    std::vector<std::string> all;
    for (const auto& entry : fs::directory_iterator(folder)) {
      all.push_back(entry.path().filename().string());
    }
    std::ranges::sort(all);
    return all;
  }
  static std::vector<std::string> texts(const std::vector<Problem>& problems) {
    std::vector<std::string> all;
    for (const Problem& p : problems) {
      all.push_back(p.place + ": " + p.text);
    }
    return all;
  }
  static std::optional<ErrorKind> kind_of(const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& e) {
      return e.kind();
    }
    return std::nullopt;
  }
  static bool has(const char* program) {
    try {
      (void)os::run_command({.argv = {program, "--version"}, .env = {}, .cwd = {}, .input = {}, .timeout = {}});
      return true;
    } catch (const Error&) {
      return false;
    }
  }
  static std::string run(std::vector<std::string> argv) {
    return os::run_checked(
        {.argv = std::move(argv), .env = {}, .cwd = {}, .input = {}, .timeout = std::chrono::seconds(60)});
  }
};

TEST_F(LayoutTest, ANewLayoutIsCompleteAndValid) {
  const Image image = sample();
  write_image(image, layout(), name_);
  EXPECT_THAT(names(at_), ElementsAre("layout"));
  EXPECT_THAT(names(at_ / "layout"), ElementsAre("blobs", "index.json", "oci-layout"));
  EXPECT_EQ(names(at_ / "layout/blobs/sha256").size(), 4u);
  const Layout read = Layout::open(at_ / "layout");
  const Descriptor found = read.find("v1");
  EXPECT_EQ(read.find("tf29-dev:v1"), found);
  EXPECT_EQ(read.find(), found);
  EXPECT_EQ(read.read(found), image.manifest);
  EXPECT_EQ(found.platform, Platform{});
  EXPECT_THAT(texts(validate(read, found)), IsEmpty());
  EXPECT_EQ(kind_of([&] { (void)read.find("v2"); }), ErrorKind::NotFound);
}

TEST_F(LayoutTest, AnExistingLayoutGainsImagesAndReplacesTheOneOfTheSameName) {
  write_image(sample(), layout(), name_);
  write_image(sample("two"), layout(), Reference::parse("other:v2"));
  write_image(sample("three"), layout(), name_);
  const Layout read = Layout::open(at_ / "layout");
  EXPECT_EQ(read.index().manifests.size(), 2u);
  EXPECT_EQ(read.read(read.find("v1")), sample("three").manifest);
  EXPECT_EQ(read.read(read.find("v2")), sample("two").manifest);
  EXPECT_THAT(texts(validate(read, read.find("v2"))), IsEmpty());
  EXPECT_EQ(kind_of([&] { (void)read.find(); }), ErrorKind::NotFound);
}

TEST_F(LayoutTest, AFolderWithSomethingElseIsLeftAlone) {
  fs::create_directory(at_ / "layout");
  std::ofstream(at_ / "layout/precious") << "x";
  EXPECT_EQ(kind_of([&] { write_image(sample(), layout(), name_); }), ErrorKind::Conflict);
  EXPECT_THAT(names(at_ / "layout"), ElementsAre("precious"));
  fs::remove(at_ / "layout/precious");
  write_image(sample(), layout(), name_);  // empty: fine
  EXPECT_EQ(Layout::open(at_ / "layout").index().manifests.size(), 1u);
}

TEST_F(LayoutTest, AWrongLayerIsFoundWhileWritingAndLeavesNothing) {
  for (int fault = 0; fault < 4; ++fault) {
    Image image = sample();
    image.layers[0].produce = [fault, produce = image.layers[0].produce](Sink& out) {
      BytesSink all;
      produce(all);
      if (fault == 0) {
        all.data[20] ^= 1;
      } else if (fault == 1) {
        all.data.pop_back();
      } else if (fault == 2) {
        all.data.push_back(0);
      } else {
        throw Error(ErrorKind::Corrupt, "the layer came out different");
      }
      out.write(all.data);
    };
    for (const Output& output : {layout(), archive(), docker()}) {
      EXPECT_EQ(kind_of([&] { write_image(image, output, name_); }), ErrorKind::Corrupt) << fault;
      EXPECT_THAT(names(at_), IsEmpty());
    }
  }
  Image image = sample();
  image.layers.pop_back();
  EXPECT_EQ(kind_of([&] { write_image(image, layout(), name_); }), ErrorKind::Invalid);
  image = sample();
  image.config += " ";
  EXPECT_EQ(kind_of([&] { write_image(image, layout(), name_); }), ErrorKind::Invalid);
}

TEST_F(LayoutTest, AFailedWriteKeepsTheOldArchive) {
  write_image(sample(), archive(), name_);
  const std::string before = os::read_file(archive().path);
  Image image = sample("new");
  image.layers[1].produce = [](Sink&) {};
  EXPECT_EQ(kind_of([&] { write_image(image, archive(), name_); }), ErrorKind::Corrupt);
  EXPECT_EQ(os::read_file(archive().path), before);
}

TEST_F(LayoutTest, ArchivesDependOnImageAndNameAloneAndReadBack) {
  for (const Output& output : {archive(), docker()}) {
    write_image(sample(), output, name_);
    const std::string first = os::read_file(output.path);
    write_image(sample(), output, name_);
    EXPECT_EQ(os::read_file(output.path), first);
    const fs::path into = output.path.string() + ".d";
    fs::create_directory(into);
    const Layout read = unpack_archive(output.path, into);
    EXPECT_THAT(texts(validate(read, read.find("v1"))), IsEmpty());
    EXPECT_EQ(read.read(read.find("v1")), sample().manifest);
  }
  // The same archive on every machine.
  EXPECT_EQ(codec::sha256(sample().config).brief(), "f07eeca71f50");
}

TEST_F(LayoutTest, ABrokenArchiveIsRefused) {
  write_image(sample(), archive(), name_);
  const std::string good = os::read_file(archive().path);
  const auto unpack = [&](const std::string& bytes) {
    std::ofstream(at_ / "broken", std::ios::binary) << bytes;
    const os::TempDir into(at_, "into-");
    return kind_of([&] { (void)unpack_archive(at_ / "broken", into.path()); });
  };
  std::string changed = good;
  changed[512 * 3 + 30] = static_cast<char>(changed[512 * 3 + 30] ^ 1);  // in the first blob
  EXPECT_EQ(unpack(changed), ErrorKind::Corrupt);
  EXPECT_NE(unpack(good.substr(0, good.size() / 2)), std::nullopt);
  EXPECT_EQ(unpack(std::string(1024, '\0')), ErrorKind::Invalid);
  EXPECT_EQ(unpack(good), std::nullopt);
}

TEST_F(LayoutTest, KilledAtEveryDurableStepALayoutIsOldOrNew) {
  for (const bool existing : {false, true}) {
    int kills = 0;
    for (int n = 1; n < 100; ++n) {
      const Output output{Output::Kind::Layout, at_ / format("{}-{}", existing ? "old" : "new", n), ""};
      if (existing) {
        write_image(sample("before"), output, name_);
      }
      const pid_t child = ::fork();
      if (child == 0) {
        ::setenv("SLIPWAY_TEST_KILL_AT", std::to_string(os::durable_steps() + static_cast<std::uint64_t>(n)).c_str(),
                 1);
        write_image(sample("after"), output, name_);
        ::_exit(0);
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      if (fs::exists(output.path)) {
        const Layout read = Layout::open(output.path);
        EXPECT_THAT(texts(validate(read, read.find("v1"))), IsEmpty());
      } else {
        EXPECT_FALSE(existing);
      }
      write_image(sample("after"), output, name_);
      EXPECT_EQ(Layout::open(output.path).read(Layout::open(output.path).find("v1")), sample("after").manifest);
      if (WIFEXITED(status)) {
        break;
      }
      ++kills;
    }
    EXPECT_GE(kills, 5);
  }
}

TEST_F(LayoutTest, OutputsAreParsed) {
  EXPECT_EQ(Output::parse("oci:/a/b").path, "/a/b");
  EXPECT_EQ(Output::parse("oci:/a/b:v1").path, "/a/b");
  EXPECT_EQ(Output::parse("oci:/a/b:v1").tag, "v1");
  EXPECT_EQ(Output::parse("oci-archive:x.tar").kind, Output::Kind::Archive);
  EXPECT_EQ(Output::parse("docker-archive:x:y.tar").path, "x:y.tar");
  for (const char* bad : {"", "oci", "oci:", "docker:x", "x.tar"}) {
    EXPECT_EQ(kind_of([&] { (void)Output::parse(bad); }), ErrorKind::Usage) << bad;
  }
}

TEST_F(LayoutTest, ValidateFindsWhatIsWrong) {
  const auto problems = [&](std::vector<LayerSource> layers, ImageConfig c = config()) {
    const os::TempDir temp(at_, "v-");
    write_image(make_image(std::move(c), std::move(layers)), {Output::Kind::Layout, temp.path() / "l", ""}, name_);
    const Layout read = Layout::open(temp.path() / "l");
    return texts(validate(read, read.find()));
  };
  // A layer of our own tar, for what the encoder refuses to make.
  const auto raw = [](std::vector<codec::TarEntry> entries) {
    std::string tar;
    for (const codec::TarEntry& entry : entries) {
      tar += codec::tar_header(entry);
    }
    tar += codec::tar_end();
    Descriptor d;
    d.media_type = media::kLayer;
    d.digest = codec::sha256(tar);
    d.size = tar.size();
    return LayerSource{d, d.digest, [tar](Sink& out) { out.write(as_bytes(tar)); }, {}};
  };
  const auto entry = [](std::string path, FileType type = FileType::Regular, std::string link = {}) {
    return item(std::move(path), type, std::move(link)).entry;
  };
  const LayerSource good = layer_of({item("a", FileType::Directory), item("a/f", FileType::Regular, "x")});
  EXPECT_THAT(problems({good}), IsEmpty());
  EXPECT_THAT(problems({raw({entry("b"), entry("a")})}), ElementsAre(HasSubstr("layer 1: a: not sorted")));
  EXPECT_THAT(problems({raw({entry("b"), entry("b")})}), testing::Contains(HasSubstr("stands twice")));
  EXPECT_THAT(problems({raw({entry("no/parent")})}), ElementsAre(HasSubstr("neither in this layer nor")));
  EXPECT_THAT(problems({good, raw({entry("a/f/below")})}),
              ElementsAre(HasSubstr("layer 2: a/f/below: its parent is no folder")));
  EXPECT_THAT(problems({good, raw({entry("a/f2")})}), IsEmpty());
  EXPECT_THAT(problems({raw({entry("l", FileType::HardLink, "nothing")})}),
              ElementsAre(HasSubstr("a hard link to `nothing`")));
  EXPECT_THAT(problems({good, raw({entry("l", FileType::HardLink, "a/f")})}),
              ElementsAre(HasSubstr("of a lower layer")));
  EXPECT_THAT(problems({good, raw({entry(".wh.zzz")})}), ElementsAre(HasSubstr("what no lower layer has")));
  EXPECT_THAT(problems({good, raw({entry(".wh.a")}), raw({entry("a/x")})}),
              ElementsAre(HasSubstr("layer 3: a/x: its parent")));
  EXPECT_THAT(
      problems({good, raw({entry("a", FileType::Directory), entry("a/.wh..wh..opq")}), raw({entry("a/.wh.f")})}),
      ElementsAre(HasSubstr("layer 3: a/.wh.f: a whiteout of")));
  ImageConfig c = config();
  c.env = {"A=1", "A=2", "B"};
  c.history = {{}, {}};
  c.working_dir = "x";
  EXPECT_EQ(problems({good}, c).size(), 4u);
  LayerSource lies = good;
  lies.diff_id = codec::sha256("other");
  EXPECT_THAT(problems({lies}), ElementsAre(HasSubstr("the config's diff_id is")));
  lies = good;
  lies.descriptor.media_type = "text/plain";
  EXPECT_THAT(problems({lies}), ElementsAre(HasSubstr("`text/plain` is not known")));

  write_image(sample(), layout(), name_);
  const Layout read = Layout::open(at_ / "layout");
  const Manifest manifest = parse_manifest(sample().manifest);
  std::ofstream(read.blob_path(manifest.layers[0].digest), std::ios::app) << "x";
  fs::remove(read.blob_path(manifest.layers[1].digest));
  EXPECT_THAT(texts(validate(read, read.find())),
              ElementsAre(HasSubstr("layer 1: the blob has"), HasSubstr("layer 1: the blob has digest"),
                          HasSubstr("layer 2:")));
}

TEST_F(LayoutTest, SkopeoReadsTheLayoutAndItsConversionsReadBack) {
  if (!has("skopeo")) {
    GTEST_SKIP() << "skopeo is not installed";
  }
  write_image(sample(), layout(), name_);
  write_image(sample(), archive(), name_);
  write_image(sample(), docker(), name_);
  EXPECT_THAT(run({"skopeo", "inspect", "oci:" + layout().path.string() + ":v1"}),
              HasSubstr("\"Digest\": \"" + codec::sha256(sample().manifest).text()));
  const std::string back = (at_ / "back.tar").string();
  run({"skopeo", "copy", "--insecure-policy", "oci-archive:" + archive().path.string(),
       "docker-archive:" + back + ":x:1"});
  fs::create_directory(at_ / "back");
  const Layout theirs = unpack_archive(back, at_ / "back");
  EXPECT_THAT(texts(validate(theirs, theirs.find(), Rules::Any)), IsEmpty());
  EXPECT_EQ(parse_image_config(theirs.read(parse_manifest(theirs.read(theirs.find())).config)).diff_ids,
            parse_image_config(sample().config).diff_ids);
  // Our docker-archive, layers as they are: the same diff_ids after unpacking by skopeo.
  run({"skopeo", "copy", "--insecure-policy", "docker-archive:" + docker().path.string(),
       "oci:" + (at_ / "again").string() + ":v1"});
  const Layout again = Layout::open(at_ / "again");
  EXPECT_THAT(texts(validate(again, again.find("v1"), Rules::Any)), IsEmpty());
  EXPECT_EQ(again.read(parse_manifest(again.read(again.find("v1"))).config), sample().config);
}

TEST_F(LayoutTest, UmociUnpacksTheSameTree) {
  if (!has("umoci")) {
    GTEST_SKIP() << "umoci is not installed";
  }
  if (::geteuid() != 0) {
    GTEST_SKIP() << "umoci unpack keeps owners, which needs root";
  }
  write_image(sample(), layout(), name_);
  run({"umoci", "unpack", "--image", layout().path.string() + ":v1", (at_ / "bundle").string()});
  const fs::path root = at_ / "bundle/rootfs";
  EXPECT_EQ(os::read_file(root / "etc/new"), "hello\n");
  EXPECT_FALSE(fs::exists(root / "etc/old"));
  EXPECT_EQ(fs::read_symlink(root / "usr/lib/x.so"), "x.so.1");
  EXPECT_EQ(fs::file_size(root / "usr/lib/x.so.1"), 100'000u);
}

TEST_F(LayoutTest, TarReadsTheArchive) {
  if (!has("tar")) {
    GTEST_SKIP() << "tar is not installed";
  }
  write_image(sample(), docker(), name_);
  const std::string listing = run({"tar", "--numeric-owner", "-tvf", docker().path.string()});
  EXPECT_THAT(listing, HasSubstr("drwxr-xr-x 0/0"));
  EXPECT_THAT(listing, HasSubstr("blobs/sha256/" + codec::sha256(sample().config).hex()));
  EXPECT_THAT(run({"tar", "-xOf", docker().path.string(), "manifest.json"}),
              HasSubstr(R"("RepoTags":["tf29-dev:v1"])"));
}

}  // namespace
}  // namespace slip::oci
