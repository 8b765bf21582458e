#include "deb/solve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace slip::deb {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

/// A small archive. Every package gets the fields that an index must have.
class Archive {
 public:
  Archive() {
    for (const std::string& name : base_requests("bookworm", false)) {
      add(name, "1", "Priority: optional");
    }
    add("dpkg", "1.21", "Essential: yes");
  }
  Archive& add(const std::string& name, const std::string& version, const std::string& fields = {}) {
    text_ += "Package: " + name + "\nVersion: " + version + "\nArchitecture: amd64\n" +
             (fields.empty() ? "" : fields + "\n") + "Filename: pool/" + name + "_" + version +
             ".deb\nSize: 10\nSHA256: " + std::string(64, 'a') + "\n\n";
    return *this;
  }
  std::vector<Candidate> solve(const std::vector<Request>& requests) {
    Index index;
    index.add("debian", text_, "Packages");
    index.finish();
    return solve_index(index, "bookworm", requests, false);
  }
  Error failure(const std::vector<Request>& requests) {
    try {
      solve(requests);
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorKind::Internal, "no error");
  }
  /// "name version (why)" of what is there beside the base.
  std::vector<std::string> chosen(const std::vector<Request>& requests) {
    std::vector<std::string> texts;
    for (const Candidate& c : solve(requests)) {
      if (c.why != "base") {
        texts.push_back(c.name + " " + c.version + " (" + c.why + ")");
      }
    }
    return texts;
  }

 private:
  std::string text_;
};

TEST(solve, base_is_always_there) {
  Archive archive;
  const auto packages = archive.solve({});
  std::vector<std::string> names;
  for (const Candidate& c : packages) {
    names.push_back(c.name);
    EXPECT_EQ(c.why, "base");
    EXPECT_EQ(c.alias, "debian");
  }
  EXPECT_THAT(names, Contains("dpkg"));
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
}

TEST(solve, takes_the_newest_and_says_why) {
  Archive archive;
  archive.add("a", "1", "Depends: b (>= 2)").add("b", "2.1").add("b", "2.10", "Depends: c").add("c", "1").add("d", "1");
  EXPECT_THAT(archive.chosen({{"a", "", ""}}), ElementsAre("a 1 (apt)", "b 2.10 (needed by a)", "c 1 (needed by b)"));
}

TEST(solve, recommends_are_left_out) {
  Archive archive;
  archive.add("a", "1", "Recommends: b\nSuggests: c").add("b", "1").add("c", "1");
  EXPECT_THAT(archive.chosen({{"a", "", ""}}), ElementsAre("a 1 (apt)"));
}

TEST(solve, first_alternative_wins_even_when_it_costs_more) {
  Archive archive;
  archive.add("a", "1", "Depends: big | small")
      .add("big", "1", "Depends: small, more")
      .add("small", "1")
      .add("more", "1");
  EXPECT_THAT(archive.chosen({{"a", "", ""}}),
              ElementsAre("a 1 (apt)", "big 1 (needed by a)", "more 1 (needed by big)", "small 1 (needed by a)"));
}

TEST(solve, real_package_before_provider) {
  Archive archive;
  archive.add("aa", "1", "Provides: b").add("a", "1", "Depends: b").add("b", "1");
  EXPECT_THAT(archive.chosen({{"a", "", ""}}), ElementsAre("a 1 (apt)", "b 1 (needed by a)"));
}

TEST(solve, provider_of_higher_priority) {
  Archive archive;
  archive.add("x1", "1", "Provides: awk\nPriority: optional").add("x2", "1", "Provides: awk\nPriority: required");
  archive.add("a", "1", "Depends: awk");
  EXPECT_THAT(archive.chosen({{"a", "", ""}}), ElementsAre("a 1 (apt)", "x2 1 (needed by a)"));
}

TEST(solve, what_is_there_already_satisfies_an_alternative) {
  Archive archive;
  archive.add("a", "1", "Depends: x | y").add("x", "1").add("y", "1");
  EXPECT_THAT(archive.chosen({{"a", "", ""}, {"y", "", ""}}), ElementsAre("a 1 (apt)", "y 1 (apt)"));
}

TEST(solve, a_conflict_turns_to_the_other_alternative) {
  Archive archive;
  archive.add("a", "1", "Depends: x | y").add("x", "1", "Conflicts: z").add("y", "1").add("z", "1");
  EXPECT_THAT(archive.chosen({{"a", "", ""}, {"z", "", ""}}),
              ElementsAre("a 1 (apt)", "y 1 (needed by a)", "z 1 (apt)"));
}

TEST(solve, a_pinned_version_is_taken) {
  Archive archive;
  archive.add("a", "1").add("a", "2");
  EXPECT_THAT(archive.chosen({{"a", "1", ""}}), ElementsAre("a 1 (apt)"));
}

TEST(solve, unknown_names_get_a_suggestion) {
  Archive archive;
  archive.add("openssh-server", "1");
  const Error error = archive.failure({{"openssh-sever", "", "slipway.yaml:7:8"}});
  EXPECT_EQ(error.kind(), ErrorKind::NotFound);
  EXPECT_EQ(error.joined(), "slipway.yaml:7:8: bookworm has no package `openssh-sever`");
  EXPECT_THAT(error.hints(), ElementsAre("did you mean `openssh-server`?"));
}

TEST(solve, virtual_packages_name_their_providers) {
  Archive archive;
  archive.add("x1", "1", "Provides: awk").add("x2", "1", "Provides: awk (= 1)");
  EXPECT_THAT(archive.failure({{"awk", "", ""}}).hints(), ElementsAre("it is provided by: x1, x2; name one of them"));
}

TEST(solve, unknown_versions_list_what_there_is) {
  Archive archive;
  archive.add("a", "1").add("a", "2");
  const Error error = archive.failure({{"a", "3", ""}});
  EXPECT_EQ(error.joined(), "bookworm has no version 3 of `a`");
  EXPECT_THAT(error.hints(), ElementsAre("there is 1, 2"));
}

TEST(solve, missing_dependencies_are_explained) {
  Archive archive;
  archive.add("a", "1", "Depends: b (>= 2)").add("b", "1.5");
  const Error error = archive.failure({{"a", "", ""}});
  EXPECT_EQ(error.kind(), ErrorKind::Conflict);
  EXPECT_THAT(error.joined(), HasSubstr("`a 1` needs `b (>= 2)`, but bookworm has 1.5"));
}

TEST(solve, conflicts_are_explained) {
  Archive archive;
  archive.add("a", "1", "Conflicts: b").add("b", "1");
  EXPECT_THAT(archive.failure({{"a", "", ""}, {"b", "", ""}}).joined(),
              HasSubstr("`a 1` conflicts with `b`, which is `b 1`"));
}

TEST(solve, one_package_in_two_versions_is_a_conflict) {
  Archive archive;
  archive.add("a", "1").add("a", "2");
  EXPECT_EQ(archive.failure({{"a", "1", ""}, {"a", "2", ""}}).kind(), ErrorKind::Conflict);
}

TEST(index, foreign_bytes_are_checked) {
  const std::string good =
      "Package: a\nVersion: 1\nArchitecture: all\nFilename: pool/a.deb\nSize: 1\nSHA256: " + std::string(64, 'a') +
      "\n";
  Index index;
  EXPECT_NO_THROW(index.add("debian", good, "P"));
  const auto broken = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    EXPECT_THROW(index.add("debian", text, "P"), Error) << to;
  };
  broken("pool/a.deb", "../a.deb");
  broken("pool/a.deb", "/etc/passwd");
  broken("pool/a.deb", "pool/a.deb?x");
  broken("Version: 1", "Version: a b");
  broken("Size: 1", "Size: -1");
  broken("SHA256: aa", "SHA256: zz");
  broken("Package: a\n", "");
}

}  // namespace
}  // namespace slip::deb
