#include "codec/elf.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "codec/testing.h"

namespace slip::codec {
namespace {

Bytes file_bytes(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

ReadAt reader(const Bytes& file) {
  return [&file](std::uint64_t offset, std::span<std::uint8_t> into) {
    ASSERT_LE(offset + into.size(), file.size());
    std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
  };
}

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen(command.c_str(), "r");
  char buffer[4096];
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) {
    text.append(buffer, n);
  }
  EXPECT_EQ(::pclose(pipe), 0) << command;
  return text;
}

/// This test itself: a dynamic program with symbols and debug information.
const Bytes& own_program() {
  static const Bytes bytes = file_bytes("/proc/self/exe");
  return bytes;
}

Bytes stripped(const Bytes& file) {
  BytesSink out;
  strip_elf(reader(file), file.size(), out, "program");
  return out.data;
}

TEST(Elf, NamesWhatAProgramNeedsAsReadelfDoes) {
  const ElfNeeds needs = read_elf(reader(own_program()), own_program().size(), "program");
  EXPECT_NE(needs.interpreter.find("ld-linux"), std::string::npos);
  std::string expected = output_of("readelf -dW /proc/$PPID/exe | sed -n 's/.*NEEDED.*\\[\\(.*\\)\\]/\\1/p'");
  std::string found;
  for (const std::string& soname : needs.needed) {
    found += soname + "\n";
  }
  EXPECT_EQ(found, expected);
  EXPECT_FALSE(needs.needed.empty());
}

TEST(Elf, AStrippedProgramRunsAndKeepsItsSegments) {
  const Scratch scratch;
  const Bytes after = stripped(own_program());
  EXPECT_LT(after.size(), own_program().size() / 2);
  scratch.write("program", as_text(after));
  scratch.write("before", as_text(own_program()));
  std::filesystem::permissions(scratch.path("program"), std::filesystem::perms::owner_all);
  const std::string program = scratch.path("program").string();
  EXPECT_NE(output_of(program + " --gtest_list_tests").find("AStrippedProgram"), std::string::npos);
  const auto segments = [&](const std::string& name) {
    return output_of("readelf -lW " + scratch.path(name).string() + " | grep -E 'LOAD|DYNAMIC|RELRO|EH_FRAME'");
  };
  EXPECT_EQ(segments("program"), segments("before"));
  EXPECT_EQ(output_of("readelf -SW " + program + " | grep -c -E 'debug|symtab|comment' || true"), "0\n");
}

TEST(Elf, SectionsAndDynamicSymbolsAreThoseThatBinutilsLeaves) {
  const Scratch scratch;
  scratch.write("ours", as_text(stripped(own_program())));
  scratch.write("theirs", as_text(own_program()));
  output_of("strip --strip-unneeded -R .comment " + scratch.path("theirs").string());
  // binutils also tidies what linkers leave odd (entry sizes, offsets of empty sections): name, type and address it is.
  const auto told = [&](const std::string& name, const std::string& command) {
    return output_of(command + " " + scratch.path(name).string() + " | sed -n -E '" +
                     R"(s/^ *(\[ *[0-9]+\] +[^ ]* +[A-Z_]+ +[0-9a-f]{16}).*/\1/p; s/^ *([0-9]+: .*)/\1/p)" +
                     "' | grep -v shstrtab");
  };
  EXPECT_EQ(told("ours", "readelf -SW"), told("theirs", "readelf -SW"));
  EXPECT_EQ(told("ours", "readelf --dyn-syms -W"), told("theirs", "readelf --dyn-syms -W"));
}

TEST(Elf, NothingIsLeftToStripTheSecondTime) { EXPECT_EQ(stripped(stripped(own_program())), stripped(own_program())); }

TEST(Elf, DamagedFilesAreRefused) {
  const Bytes text = {'#', '!', '/', 'b', 'i', 'n'};
  EXPECT_THROW(read_elf(reader(text), text.size(), "script"), Error);
  for (const std::size_t size :
       {std::size_t{4}, std::size_t{63}, std::size_t{64}, std::size_t{200}, own_program().size() / 3}) {
    Bytes cut(own_program().begin(), own_program().begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_THROW(stripped(cut), Error) << size;
  }
}

}  // namespace
}  // namespace slip::codec
