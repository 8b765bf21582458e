#include "wheel/dist_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "os/process.h"

namespace slip::wheel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(DistInfo, RecordIsCsv) {
  EXPECT_THAT(parse_record("a.py,sha256=x,1\r\n\"b,\"\"c\"\".py\",sha256=y,2\nd-1.dist-info/RECORD,,"),
              ElementsAre(RecordRow{"a.py", "sha256=x", "1"}, RecordRow{"b,\"c\".py", "sha256=y", "2"},
                          RecordRow{"d-1.dist-info/RECORD", "", ""}));
  EXPECT_THAT(parse_record("\"two\nlines\",h,1\n"), ElementsAre(RecordRow{"two\nlines", "h", "1"}));
  EXPECT_THAT(parse_record("\n\nonly\ntwo,fields\n,,\na,b,c,d\n\"open,h,1\n"), ElementsAre());
}

/// Python's csv module reads the rows we write, and writes rows that we read.
TEST(DistInfo, RecordIsWhatPythonsCsvReads) {
  const std::vector<RecordRow> rows = {
      {"plain.py", "sha256=x", "1"}, {"a,b", "", ""}, {"quo\"te", "h", ""}, {"two\nlines", "h", "2"}};
  os::Command command;
  command.argv = {
      "python3", "-c",
      "import csv, io, sys\n"
      "rows = list(csv.reader(io.StringIO(sys.stdin.read(), newline='')))\n"
      "assert rows[1] == ['a,b', '', ''] and rows[2][0] == 'quo\"te' and rows[3][0] == 'two\\nlines', rows\n"
      "csv.writer(sys.stdout).writerows(rows)\n"};
  for (const RecordRow& row : rows) {
    command.input += record_line(row);
  }
  EXPECT_EQ(parse_record(os::run_checked(command)), rows);
}

TEST(DistInfo, EntryPointsOfBothKindsAreRead) {
  const auto found = parse_entry_points(
      "# comment\n[other]\nx = y\n[console_scripts]\nzed = pkg.mod:main\nala = pkg:App.run [extra, b]\n\n"
      "[gui_scripts]\nbe-ta.1=pkg:gui # why\n[pytest11]\nq = nonsense\n",
      "w.whl");
  ASSERT_EQ(found.size(), 3U);
  EXPECT_EQ(found[0].name, "ala");
  EXPECT_EQ(found[0].object, "App.run");
  EXPECT_EQ(found[1].name, "be-ta.1");
  EXPECT_EQ(found[2].module, "pkg.mod");
}

TEST(DistInfo, EntryPointsThatCouldDoHarmAreRefused) {
  for (const std::string line :
       {"../x = a:b", "a/b = a:b", ".. = a:b", "= a:b", "python = a:b", "python3 = a:b", "x = a", "x = a:", "x = :b",
        "x = a:b()", "x = a; import os:b", "x = a:b\\c", "x = a b:c"}) {
    try {
      parse_entry_points("[console_scripts]\n" + line + "\n", "w.whl");
      ADD_FAILURE() << line;
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::Invalid);
      EXPECT_THAT(e.joined(), HasSubstr("w.whl: the entry point `"));
    }
  }
}

TEST(DistInfo, RequiredNamesStandInTheHeaderOnly) {
  EXPECT_THAT(parse_required_names("Metadata-Version: 2.1\nName: x\nRequires-Dist: NumPy (>=1.2)\n"
                                   "Requires-Dist: foo_bar[baz]>=1; extra == 'all'\nRequires-Dist:numpy\n\n"
                                   "Requires-Dist: not-this\n"),
              ElementsAre("foo-bar", "numpy"));
  EXPECT_THAT(parse_required_names(""), ElementsAre());
}

}  // namespace
}  // namespace slip::wheel
