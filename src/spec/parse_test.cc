#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/debian_release.h"
#include "core/error.h"
#include "core/format.h"
#include "os/file.h"
#include "spec/keys.h"
#include "spec/source.h"
#include "spec/spec.h"
#include "spec/template.h"

namespace slip::spec {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

Spec read(const std::string& yaml, const std::string& variant = {}) {
  return parse(yaml, "slipway.yaml", "/nowhere", variant);
}
/// A spec with a name and these lines.
Spec with(const std::string& lines) { return read("name: x\n" + lines); }

struct Complaint {
  std::string message;  ///< the first frame
  std::string causes;
  std::string hints;
};

Complaint complaint(const std::string& yaml, const std::string& variant = {}) {
  Complaint out;
  try {
    read(yaml, variant);
    ADD_FAILURE() << "accepted: " << yaml;
  } catch (const Error& e) {
    EXPECT_TRUE(e.kind() == ErrorKind::Invalid || e.kind() == ErrorKind::NotFound) << e.joined();
    out.message = e.chain().front();
    for (std::size_t i = 1; i < e.chain().size(); ++i) {
      out.causes += e.chain()[i] + "\n";
    }
    for (const std::string& hint : e.hints()) {
      out.hints += hint + "\n";
    }
  }
  return out;
}

TEST(Spec, NetworkIsOutboundUnlessItSaysNone) {
  EXPECT_TRUE(with("").outbound);
  EXPECT_TRUE(with("network: outbound\n").outbound);
  EXPECT_FALSE(with("network: none\n").outbound);
  EXPECT_EQ(with("").digest(), with("network: outbound\n").digest());
  EXPECT_NE(with("").digest(), with("network: none\n").digest());
  EXPECT_THAT(complaint("name: x\nnetwork: non\n").message, HasSubstr("slipway.yaml:2:10"));
}

TEST(Spec, TheSchemaAndItsWordsNameEveryRelease) {
  for (const Key& key : top_keys()) {
    for (const DebianRelease& release : debian_releases()) {
      if (key.name == "debian") {
        EXPECT_THAT(std::string(key.pattern), HasSubstr(std::string(release.name)));
      } else if (key.name == "python") {
        EXPECT_THAT(std::string(key.doc), HasSubstr(format("{} ", release.python)));
        EXPECT_THAT(std::string(key.doc), HasSubstr(std::string(release.name)));
      }
    }
  }
}

TEST(Spec, AnUnknownKeyIsShownWithCaretAndSuggestion) {
  const Complaint c = complaint("name: x\npython: \"3.9\"\n\nrequirments:\n  - numpy\n");
  EXPECT_EQ(c.message, "slipway.yaml:4:1: unknown key `requirments`");
  EXPECT_EQ(c.causes,
            "    4 | requirments:\n"
            "      | ^~~~~~~~~~~\n");
  EXPECT_EQ(c.hints, "did you mean `requirements`?\n");
}

TEST(Spec, APlaceIsThatOfTheInnermostValue) {
  const Complaint flow = complaint("name: x\nservices: {jupyter: {lab: perhaps}}\n");
  EXPECT_EQ(flow.message, "slipway.yaml:2:27: `lab` wants true or false, not `perhaps`");
  EXPECT_EQ(flow.causes,
            "    2 | services: {jupyter: {lab: perhaps}}\n"
            "      |                           ^~~~~~~\n");
  EXPECT_EQ(flow.hints, "for example `lab: true`\n");
  const Complaint item = complaint("name: x\nrequirements:\n  - numpy\n  - \"pandas=1.5\"\n");
  EXPECT_EQ(item.message, "slipway.yaml:4:12: expected `==`, found `=`");
  EXPECT_EQ(item.hints, "did you mean `pandas==1.5`?\n");
}

TEST(Spec, ColumnsCountBytesAndCaretsCells) {
  const Complaint c = complaint("name: x\nenv: {GRÖSSE: a}\n");
  EXPECT_EQ(c.message, "slipway.yaml:2:7: `GRÖSSE` cannot be the name of an environment variable");
  const Complaint behind = complaint("name: x\nenv: {A: \"ü\", 1B: b}\n");
  EXPECT_THAT(behind.causes, HasSubstr("    2 | env: {A: \"ü\", 1B: b}\n      |               ^~\n"));
}

TEST(Spec, ALongLineIsCutAroundTheCaret) {
  const Complaint c =
      complaint("name: x\napt: [" + std::string(200, 'a') + ", UPPER, " + std::string(200, 'b') + "]\n");
  EXPECT_THAT(c.causes, HasSubstr("| …"));
  const std::size_t line = c.causes.find('\n');
  EXPECT_LT(line, 120U);
  const std::string marks = c.causes.substr(line + 1);
  EXPECT_THAT(marks, HasSubstr("^~~~~\n"));
}

TEST(Spec, AnExcerptOfBytesThatAreNoUtf8) {
  const std::string line = "aa" + std::string(120, '\x8c') + "b";
  for (int column = 1; column < 130; ++column) {
    const SourceText source{"x", line};
    EXPECT_THAT(excerpt(source, source.place(1, column), 3), HasSubstr("^"));
  }
}

/// Text of the spec reaches the terminal with no power over it.
TEST(Spec, ControlBytesAreShownAsText) {
  for (const std::string& yaml :
       {std::string("name: \"x\\e[2Jy\"\n"), std::string("name: x\n\"k\\e\": 1\n"),
        std::string("name: x\n\"k\\e\": 1\n\"k\\e\": 1\n"), std::string("name: x\nresources: {memory: \"\\e\"}\n"),
        std::string("name: x\nvariants: {\"\\e\": {}}\n"), std::string("name: x\nrequirements: \"\\e.txt\"\n"),
        std::string("name: x\nenv: {\"\\a\": b}\n"), std::string("name: x\nmounts: [\"a:/\\e\"]\n")}) {
    const Complaint c = complaint(yaml);
    for (const char byte : c.message + c.hints) {
      EXPECT_TRUE(byte == '\n' || static_cast<unsigned char>(byte) >= 0x20) << yaml;
    }
  }
}

TEST(Spec, WhatIsNoSpecIsRefused) {
  EXPECT_EQ(complaint("").message, "slipway.yaml: there is nothing in it");
  EXPECT_THAT(complaint("# only a comment\n").hints, HasSubstr("slipway init"));
  EXPECT_THAT(complaint("- a\n").message, HasSubstr("slipway.yaml:1:1: a spec is a table of keys"));
  EXPECT_THAT(complaint("python: \"3.9\"\n").message, HasSubstr("`name` is missing"));
  EXPECT_THAT(complaint("name: x\nname: y\n").message,
              HasSubstr("slipway.yaml:2:1: `name` is given twice, first in line 1"));
  EXPECT_THAT(complaint("name: x\n---\nname: y\n").message, HasSubstr("a second one starts"));
  EXPECT_THAT(complaint("name: &a x\nuser: *a\n").message, HasSubstr("anchors and aliases are not read"));
  EXPECT_THAT(complaint("name: !!str x\n").message, HasSubstr("the tag"));
  EXPECT_THAT(complaint("name: [x\n").message, HasSubstr("not YAML"));
  EXPECT_THAT(complaint("name: x\n\tpython: y\n").message, testing::StartsWith("slipway.yaml:2:"));
  EXPECT_THAT(complaint(std::string("name: x\0y\n", 10)).message,
              HasSubstr("slipway.yaml:1:8: a byte that no text has"));
  EXPECT_THAT(complaint("name: \xff\n").message, HasSubstr("slipway.yaml:1:7: a byte that no text has"));
  EXPECT_THAT(complaint(std::string(40, '[')).message, HasSubstr("nested deeper than 32 levels"));
  EXPECT_THAT(complaint("name: x\n" + std::string(1U << 20, '#')).message, HasSubstr("larger than 1048576 bytes"));
}

TEST(Spec, NamesAreChecked) {
  for (const std::string name : {"Upper", "a--b", "-a", "a.", "ä", "a/b", "\"\""}) {
    EXPECT_THAT(complaint("name: " + name + "\n").message, HasSubstr("cannot be the name of an image")) << name;
  }
  EXPECT_THAT(complaint("name: " + std::string(64, 'a') + "\n").message, HasSubstr("cannot be the name of an image"));
  EXPECT_THAT(complaint("name: x\nuser: root\n").message,
              HasSubstr("slipway.yaml:2:7: `root` cannot be the user's name"));
  EXPECT_THAT(complaint("name: x\napt: [Vim]\n").message, HasSubstr("`Vim` is not a Debian package"));
  EXPECT_THAT(complaint("name: x\napt: [vim, vim=1]\n").message, HasSubstr("`vim=1` is listed twice"));
  EXPECT_THAT(complaint("name: x\nimport-check: [a-b]\n").message, HasSubstr("`a-b` is not the name of a module"));
  EXPECT_THAT(complaint("name: x\noverrule: [a>1]\n").message, HasSubstr("`a>1` is not the name of a Python package"));
}

TEST(Spec, PythonDecidesTheSuite) {
  EXPECT_EQ(with("python: \"3.9\"\n").suite, "bullseye");
  EXPECT_EQ(with("python: 3.13\n").suite, "trixie") << "3.13 is a text here, not a number";
  EXPECT_EQ(with("").suite, "bookworm");
  EXPECT_EQ(with("").python, "");
  EXPECT_EQ(with("requirements: [numpy]\n").python, "3.11") << "the suite's own";
  EXPECT_EQ(with("debian: trixie\nservices: {jupyter: {}}\n").python, "3.13");
  EXPECT_THAT(complaint("name: x\npython: \"3.10\"\n").hints,
              HasSubstr("3.9 (bullseye), 3.11 (bookworm), 3.13 (trixie)"));
  EXPECT_THAT(complaint("name: x\ndebian: bullsye\n").hints, HasSubstr("did you mean `bullseye`?"));
  const Complaint both = complaint("name: x\npython: \"3.9\"\ndebian: bookworm\n");
  EXPECT_EQ(both.message, "slipway.yaml:2:9: Python 3.9 is bullseye's, but `debian` says bookworm");
  EXPECT_THAT(both.hints, HasSubstr("python: \"3.11\""));
}

TEST(Spec, ServicesAreSwitchedOnByBeingNamed) {
  EXPECT_FALSE(with("").services.jupyter || with("").services.ssh);
  EXPECT_TRUE(with("services:\n  ssh:\n").services.ssh);
  const Spec spec = with(
      "services: {jupyter: {nbextensions: [codefolding/main], lab: true}, ssh: {keys: [\"ssh-ed25519 AAAA me\"]}}\n");
  EXPECT_TRUE(spec.services.jupyter.value().lab);
  EXPECT_THAT(spec.services.jupyter->nbextensions, ElementsAre("codefolding/main"));
  EXPECT_THAT(spec.services.ssh.value().keys, ElementsAre("ssh-ed25519 AAAA me"));
  EXPECT_THAT(complaint("name: x\nservices: {jupiter: {}}\n").hints, HasSubstr("did you mean `jupyter`?"));
  EXPECT_NE(complaint("name: x\nservices: {jupyter: {nbextensions: [../../etc]}}\n").message, "");
  EXPECT_THAT(complaint("name: x\nservices: {ssh: {keys: [\"-----BEGIN OPENSSH PRIVATE KEY-----\"]}}\n").message,
              HasSubstr("this is not a public key"));
}

TEST(Spec, ResourcesHaveUnits) {
  const Spec spec = with("resources: {memory: 8GiB, cpus: 1.5, pids: 100, shm: 64 MB}\n");
  EXPECT_EQ(spec.resources.memory_bytes, std::uint64_t{8} << 30);
  EXPECT_EQ(spec.resources.cpus, 1.5);
  EXPECT_EQ(spec.resources.pids, 100U);
  EXPECT_EQ(spec.resources.shm_bytes, 64000000U);
  for (const std::string wrong :
       {"memory: 8XB", "memory: -1", "memory: 1.2.3GB", "memory: 99999999TiB", "memory: nan", "cpus: 0", "cpus: inf",
        "cpus: 1e3", "cpus: -2", "pids: 1.5", "pids: 99999999999999999999", "shm: {}", "memory: [1]"}) {
    EXPECT_THAT(complaint("name: x\nresources: {" + wrong + "}\n").message, HasSubstr(" wants ")) << wrong;
  }
  EXPECT_THAT(complaint("name: x\nresources: {cpus: 1" + std::string(300, '0') + "}\n").message,
              HasSubstr("`cpus` wants a number"));
  EXPECT_THAT(complaint("name: x\nresources: {memory: 1MiB}\n").message, HasSubstr("in which nothing starts"));
}

TEST(Spec, StepsAreTextsOrTables) {
  const Spec spec = with("run:\n  - echo a\n  - {command: fetch, network: true}\n  - |\n    one\n    two\n");
  ASSERT_EQ(spec.run.size(), 3U);
  EXPECT_FALSE(spec.run[0].network);
  EXPECT_TRUE(spec.run[1].network);
  EXPECT_EQ(spec.run[2].command, "one\ntwo\n");
  EXPECT_EQ(to_string(spec.run[1].place), "slipway.yaml:4:15");
  EXPECT_THAT(complaint("name: x\nrun: [{network: true}]\n").message, HasSubstr("`run` needs `command`"));
  EXPECT_THAT(complaint("name: x\nrun: [\" \"]\n").message, HasSubstr("an empty command"));
  EXPECT_THAT(complaint("name: x\nrun: [[a]]\n").message, HasSubstr("`run` wants a list of commands"));
  EXPECT_THAT(complaint("name: x\nrun: [{command: a, netwrk: true}]\n").hints, HasSubstr("did you mean `network`?"));
}

TEST(Spec, FilesAndMountsStayWhereTheyMay) {
  const Spec spec =
      with("files: {./a: /w//a/, b/../c: /w/c}\nmounts: [\"./d:/data\", \"/o:/out/:rw\", \"/p:/pp:ro\"]\n");
  EXPECT_EQ(spec.files[0].target, "/w/a");
  EXPECT_EQ(spec.mounts[1].target, "/out");
  EXPECT_FALSE(spec.mounts[1].read_only);
  EXPECT_TRUE(spec.mounts[0].read_only && spec.mounts[2].read_only);
  for (const std::string source : {"../a", "/etc/passwd", "a/../../b", "\"\"", ".."}) {
    EXPECT_THAT(complaint("name: x\nfiles: {" + source + ": /a}\n").message, HasSubstr("lies outside the project"))
        << source;
  }
  for (const std::string target : {"a", "/a/../b", "/", "/proc/x", "/sys", "/dev/shm", "/run/a"}) {
    EXPECT_THAT(complaint("name: x\nfiles: {a: " + target + "}\n").message, HasSubstr("the target `")) << target;
    EXPECT_THAT(complaint("name: x\nmounts: [\"a:" + target + "\"]\n").message, HasSubstr("the target `")) << target;
  }
  for (const std::string target : {"/etc", "/etc/ssh", "/usr", "/home", "/opt/venv", "/bin"}) {
    EXPECT_THAT(complaint("name: x\nmounts: [\"a:" + target + "\"]\n").message, HasSubstr("the target `")) << target;
  }
  EXPECT_THAT(complaint("name: x\nmounts: [\"a\"]\n").message, HasSubstr("`a` is not a mount"));
  EXPECT_THAT(complaint("name: x\nmounts: [\"a:/b:rx\"]\n").message, HasSubstr("is not a mount"));
  EXPECT_THAT(complaint("name: x\nmounts: [\"a:/b\", \"c:/b/\"]\n").message, HasSubstr("two mounts at `/b`"));
}

constexpr const char* kVariants =
    "name: x\npython: \"3.9\"\napt: [vim, git]\nenv: {A: a, B: b}\nservices: {ssh: {}, jupyter: {}}\n"
    "variants:\n  slim: {services: {}, apt: [jq]}\n  new: {python: \"3.11\", env: {B: c, C: d}, user: ~}\n  same:\n";

TEST(Spec, AVariantIsLaidOverTheBase) {
  const Spec slim = read(kVariants, "slim");
  EXPECT_EQ(slim.variant, "slim");
  EXPECT_FALSE(slim.services.ssh || slim.services.jupyter) << "an empty table empties";
  ASSERT_EQ(slim.apt.size(), 1U) << "lists replace";
  EXPECT_EQ(slim.env.size(), 2U);
  const Spec newer = read(kVariants, "new");
  EXPECT_EQ(newer.suite, "bookworm");
  EXPECT_EQ(newer.env, (std::map<std::string, std::string>{{"A", "a"}, {"B", "c"}, {"C", "d"}})) << "tables are merged";
  EXPECT_EQ(newer.user, "dev");
  EXPECT_EQ(read(kVariants, "same").apt.size(), 2U);
}

TEST(Spec, VariantsAreCheckedBeforeTheyAreChosen) {
  EXPECT_THAT(complaint("name: x\nvariants: {a: {pyton: \"3.9\"}}\n").hints, HasSubstr("did you mean `python`?"));
  EXPECT_THAT(complaint("name: x\nvariants: {a: {variants: {}}}\n").message, HasSubstr("unknown key `variants`"));
  EXPECT_THAT(complaint("name: x\nvariants: {A: {}}\n").message, HasSubstr("`A` is no name for a variant"));
  EXPECT_THAT(complaint("name: x\nvariants: {a: [b]}\n").message, HasSubstr("`variants` wants a table"));
  const Complaint unknown = complaint(kVariants, "slm");
  EXPECT_EQ(unknown.message, "slipway.yaml has no variant `slm`");
  EXPECT_THAT(unknown.hints, HasSubstr("did you mean `slim`?"));
  EXPECT_THAT(complaint("name: x\n", "slim").hints, HasSubstr("it has no `variants`"));
}

TEST(Spec, TheDigestIsOfWhatItMeans) {
  const Digest base = with("apt: [vim]\npython: \"3.9\"\nenv: {A: a, B: b}\n").digest();
  EXPECT_EQ(with("# comment\nenv:\n  B: b\n  A: a\npython: '3.9'\napt:\n- vim\n").digest(), base);
  EXPECT_EQ(parse("name: x\napt: [vim]\npython: \"3.9\"\nenv: {A: a, B: b}\n", "other.yaml", "/else").digest(), base);
  for (const std::string other :
       {"apt: [git]\npython: \"3.9\"\nenv: {A: a, B: b}\n", "apt: [vim]\npython: \"3.11\"\nenv: {A: a, B: b}\n",
        "apt: [vim]\npython: \"3.9\"\nenv: {A: a, B: c}\n",
        "apt: [vim]\npython: \"3.9\"\nenv: {A: a, B: b}\nrun: [a]\n",
        "apt: [vim]\npython: \"3.9\"\nenv: {A: a, B: b}\nresources: {cpus: 1}\n",
        "apt: [vim]\npython: \"3.9\"\nenv: {A: a, B: b}\nservices: {ssh: {}}\n"}) {
    EXPECT_NE(with(other).digest(), base) << other;
  }
  EXPECT_EQ(with("services: {ssh: {keys: [\"ssh-rsa A b\"]}}\n").digest(), with("services: {ssh: {}}\n").digest())
      << "keys are personal";
}

TEST(Spec, ALabelIsReadBackAsItWasWritten) {
  const Spec all = with(
      "python: '3.9'\nrequirements: ['six==1.17.0']\napt: [vim, git]\nfiles: {./a: /workspace/a}\nenv: {A: b}\n"
      "services: {jupyter: {lab: true, nbextensions: [toc2/main]}, ssh: {}}\nmounts: ['/data:/data:ro']\n"
      "resources: {memory: 2GiB, cpus: 1.5, pids: 10, shm: 1GiB}\nrun: [{command: 'true', network: true}]\n"
      "overrule: [numpy]\nexclude-newer: 2026-01-01\nnetwork: none\n");
  for (const Spec& spec : {all, with("")}) {
    const std::string label = to_json(spec);
    EXPECT_EQ(to_json(from_json(label, "label")), label);
    EXPECT_EQ(from_json(label, "label").digest(), spec.digest());
  }
  for (const char* bad : {"{", "[]", "{\"debian\":1,\"name\":\"x\",\"user\":\"u\"}",
                          "{\"debian\":\"b\",\"later\":1,\"name\":\"x\",\"user\":\"u\"}",
                          "{\"debian\":\"b\",\"name\":\"x\",\"resources\":{\"pids\":-1},\"user\":\"u\"}"}) {
    EXPECT_THROW(from_json(bad, "label"), Error) << bad;
  }
}

TEST(Spec, ExcludeNewerIsADateOrATime) {
  EXPECT_EQ(with("exclude-newer: 2024-06-01\n").exclude_newer, "2024-06-01T00:00:00Z");
  EXPECT_EQ(with("exclude-newer: \"2024-06-01 12:00:00.5+02:00\"\n").exclude_newer, "2024-06-01T12:00:00.5+02:00");
  for (const std::string wrong :
       {"yesterday", "2024-13-01", "2024-06-01T25:00:00Z", "2024-06-01T12:00:00", "2024-6-1"}) {
    EXPECT_THAT(complaint("name: x\nexclude-newer: \"" + wrong + "\"\n").message,
                HasSubstr("is neither a date nor a time"))
        << wrong;
  }
}

TEST(Spec, TheExamplesAreRead) {
  std::size_t seen = 0;
  for (const auto& entry : fs::recursive_directory_iterator(SLIP_SOURCE_DIR "/examples")) {
    if (entry.path().filename() == "slipway.yaml") {
      EXPECT_FALSE(load(entry.path()).name.empty());
      ++seen;
    }
  }
  EXPECT_GE(seen, 1U);
}

TEST(Starter, TemplatesParse) {
  for (const std::string& name : template_names()) {
    const Starter made = starter("/nowhere/My Project!", name, "");
    const Spec spec = read(made.text);
    EXPECT_EQ(spec.name, "my-project");
    EXPECT_FALSE(spec.requirements.empty());
  }
  EXPECT_EQ(name_from("..."), "project");
  EXPECT_EQ(name_from(std::string(80, 'a')).size(), 63U);
  EXPECT_THROW(starter("/nowhere", "tf2", ""), Error);
}

TEST(Starter, TakesWhatLiesInTheFolder) {
  const os::TempDir dir(fs::temp_directory_path(), "starter-test-");
  os::write_file(dir.path() / "requirements.txt", "numpy==1.26.4\n");
  os::write_file(dir.path() / "apt.txt", "vim git # tools\nvim\n");
  const Starter made = starter(dir.path(), "", "x");
  EXPECT_EQ(made.from, "requirements.txt and apt.txt");
  const Spec spec = parse(made.text, "slipway.yaml", dir.path());
  ASSERT_EQ(spec.requirements.size(), 1U);
  EXPECT_EQ(to_string(spec.requirements[0].place), "requirements.txt:1:1");
  EXPECT_EQ(spec.apt.size(), 2U);
}

}  // namespace
}  // namespace slip::spec
