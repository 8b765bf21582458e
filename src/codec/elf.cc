#include "codec/elf.h"

#include <elf.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "core/error.h"

namespace slip::codec {
namespace {

constexpr std::size_t kMostSections = 1u << 16;
constexpr std::size_t kMostSegments = 1u << 12;
constexpr std::size_t kMostDynamic = 1u << 16;
constexpr std::uint64_t kLongestName = 4096;

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structures are read as they lie in the file");

class ElfFile {
 public:
  ElfFile(const ReadAt& read, std::uint64_t size, const std::string& name) : read_(read), size_(size), name_(name) {
    header_ = at<Elf64_Ehdr>(0);
    if (std::memcmp(header_.e_ident, ELFMAG, SELFMAG) != 0) {
      fail("not an ELF file");
    }
    if (header_.e_ident[EI_CLASS] != ELFCLASS64 || header_.e_ident[EI_DATA] != ELFDATA2LSB) {
      fail("not an ELF file of 64 bits, little endian");
    }
    segments_ = table<Elf64_Phdr>(header_.e_phoff, header_.e_phnum, header_.e_phentsize, kMostSegments);
  }

  [[noreturn]] void fail(const char* what) const { throw Error(ErrorKind::Invalid, "`{}`: {}", name_, what); }

  [[nodiscard]] const Elf64_Ehdr& header() const { return header_; }
  [[nodiscard]] const std::vector<Elf64_Phdr>& segments() const { return segments_; }
  [[nodiscard]] std::vector<Elf64_Shdr> sections() const {
    return table<Elf64_Shdr>(header_.e_shoff, header_.e_shnum, header_.e_shentsize, kMostSections);
  }

  /// End of the last byte of the file that a segment holds.
  [[nodiscard]] std::uint64_t loaded_end() const {
    std::uint64_t end =
        std::max<std::uint64_t>(sizeof header_, header_.e_phoff + segments_.size() * sizeof(Elf64_Phdr));
    for (const Elf64_Phdr& segment : segments_) {
      if (segment.p_filesz > 0) {
        check(segment.p_offset, segment.p_filesz);
        end = std::max(end, segment.p_offset + segment.p_filesz);
      }
    }
    return end;
  }

  template <class T>
  T at(std::uint64_t offset) const {
    check(offset, sizeof(T));
    T value;
    read_(offset, {reinterpret_cast<std::uint8_t*>(&value), sizeof value});
    return value;
  }

  template <class T>
  std::vector<T> table(std::uint64_t offset, std::uint64_t count, std::uint64_t entry, std::size_t most) const {
    if (count == 0) {
      return {};
    }
    if (entry != sizeof(T) || count > most) {
      fail("damaged: a table of an unknown form");
    }
    check(offset, count * sizeof(T));
    std::vector<T> entries(static_cast<std::size_t>(count));
    read_(offset, {reinterpret_cast<std::uint8_t*>(entries.data()), entries.size() * sizeof(T)});
    return entries;
  }

  /// The text at `offset` up to its zero byte.
  [[nodiscard]] std::string text(std::uint64_t offset, std::uint64_t most = kLongestName) const {
    check(offset, 1);
    std::string bytes(static_cast<std::size_t>(std::min(most, size_ - offset)), '\0');
    read_(offset, {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()});
    const std::size_t end = bytes.find('\0');
    if (end == std::string::npos) {
      fail("damaged: a name without an end");
    }
    bytes.resize(end);
    return bytes;
  }

  /// Where in the file the memory address lies.
  [[nodiscard]] std::uint64_t offset_of(std::uint64_t address) const {
    for (const Elf64_Phdr& s : segments_) {
      if (s.p_type == PT_LOAD && address >= s.p_vaddr && address - s.p_vaddr < s.p_filesz) {
        return s.p_offset + (address - s.p_vaddr);
      }
    }
    fail("damaged: an address that no segment holds");
  }

  void check(std::uint64_t offset, std::uint64_t count) const {
    if (offset > size_ || count > size_ - offset) {
      fail("damaged: it ends too early");
    }
  }

 private:
  const ReadAt& read_;
  std::uint64_t size_;
  const std::string& name_;
  Elf64_Ehdr header_{};
  std::vector<Elf64_Phdr> segments_;
};

constexpr std::uint64_t aligned(std::uint64_t value) { return (value + 7) / 8 * 8; }

/// Sections that are loaded, numbered anew, with their names.
struct KeptSections {
  std::vector<Elf64_Shdr> headers;
  std::string names;  ///< content of .shstrtab
};

KeptSections keep_loaded(const ElfFile& file, std::uint64_t end) {
  const std::vector<Elf64_Shdr> all = file.sections();
  if (all.empty()) {
    return {};
  }
  if (file.header().e_shstrndx >= all.size()) {
    file.fail("damaged: its sections have no names");
  }
  std::vector<std::uint32_t> number(all.size(), 0);
  KeptSections kept{{Elf64_Shdr{}}, std::string(1, '\0')};
  const auto rename = [&](Elf64_Shdr& section, const std::string& name) {
    section.sh_name = static_cast<Elf64_Word>(kept.names.size());
    kept.names += name;
    kept.names += '\0';
  };
  for (std::size_t i = 1; i < all.size(); ++i) {
    const bool loaded = (all[i].sh_flags & SHF_ALLOC) != 0;
    // What claims to be loaded but lies beyond every segment is not.
    const bool inside =
        all[i].sh_type == SHT_NOBITS || (all[i].sh_offset <= end && all[i].sh_size <= end - all[i].sh_offset);
    if (loaded && inside) {
      number[i] = static_cast<std::uint32_t>(kept.headers.size());
      kept.headers.push_back(all[i]);
      rename(kept.headers.back(), file.text(all[file.header().e_shstrndx].sh_offset + all[i].sh_name));
    }
  }
  const auto renumbered = [&](std::uint32_t old) { return old < number.size() ? number[old] : 0; };
  for (Elf64_Shdr& section : kept.headers) {
    section.sh_link = renumbered(section.sh_link);
    if ((section.sh_flags & SHF_INFO_LINK) != 0 || section.sh_type == SHT_RELA || section.sh_type == SHT_REL) {
      section.sh_info = renumbered(section.sh_info);
    }
  }
  Elf64_Shdr names{};
  names.sh_type = SHT_STRTAB;
  names.sh_addralign = 1;
  rename(names, ".shstrtab");
  names.sh_offset = end;
  names.sh_size = kept.names.size();
  kept.headers.push_back(names);
  return kept;
}

ByteView bytes_of(const void* data, std::size_t size) { return {static_cast<const std::uint8_t*>(data), size}; }

void copy_range(const ReadAt& read, std::uint64_t at, std::uint64_t end, Sink& out) {
  Bytes buffer(256 * 1024);
  while (at < end) {
    const auto some =
        std::span(buffer).first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), end - at)));
    read(at, some);
    out.write(some);
    at += some.size();
  }
}

}  // namespace

bool is_elf(ByteView start) noexcept {
  return start.size() >= SELFMAG && std::memcmp(start.data(), ELFMAG, SELFMAG) == 0;
}

ElfNeeds read_elf(const ReadAt& read, std::uint64_t size, const std::string& name) {
  const ElfFile file(read, size, name);
  ElfNeeds needs;
  std::vector<std::uint64_t> needed;
  std::uint64_t soname = 0;
  std::uint64_t strings = 0;
  for (const Elf64_Phdr& segment : file.segments()) {
    if (segment.p_type == PT_INTERP) {
      needs.interpreter = file.text(segment.p_offset, std::min(segment.p_filesz, kLongestName));
    }
    if (segment.p_type != PT_DYNAMIC) {
      continue;
    }
    for (const Elf64_Dyn& entry : file.table<Elf64_Dyn>(segment.p_offset, segment.p_filesz / sizeof(Elf64_Dyn),
                                                        sizeof(Elf64_Dyn), kMostDynamic)) {
      if (entry.d_tag == DT_NULL) {
        break;
      }
      if (entry.d_tag == DT_NEEDED) {
        needed.push_back(entry.d_un.d_val);
      } else if (entry.d_tag == DT_SONAME) {
        soname = entry.d_un.d_val;
      } else if (entry.d_tag == DT_STRTAB) {
        strings = entry.d_un.d_ptr;
      }
    }
  }
  if (strings == 0 && (!needed.empty() || soname != 0)) {
    file.fail("damaged: names without a table of strings");
  }
  for (const std::uint64_t at : needed) {
    needs.needed.push_back(file.text(file.offset_of(strings + at)));
  }
  if (soname != 0) {
    needs.soname = file.text(file.offset_of(strings + soname));
  }
  return needs;
}

void strip_elf(const ReadAt& read, std::uint64_t size, Sink& out, const std::string& name) {
  const ElfFile file(read, size, name);
  const std::uint64_t end = file.loaded_end();
  const KeptSections kept = keep_loaded(file, end);
  Elf64_Ehdr header = file.header();
  const std::uint64_t names_end = end + kept.names.size();
  header.e_shoff = kept.headers.empty() ? 0 : aligned(names_end);
  header.e_shnum = static_cast<Elf64_Half>(kept.headers.size());
  header.e_shentsize = kept.headers.empty() ? Elf64_Half{0} : Elf64_Half{sizeof(Elf64_Shdr)};
  header.e_shstrndx = static_cast<Elf64_Half>(kept.headers.empty() ? 0 : kept.headers.size() - 1);
  out.write(bytes_of(&header, sizeof header));
  copy_range(read, sizeof header, end, out);
  if (kept.headers.empty()) {
    return;
  }
  out.write(as_bytes(kept.names));
  static constexpr std::array<std::uint8_t, 8> kZeros{};
  out.write(ByteView(kZeros).first(static_cast<std::size_t>(header.e_shoff - names_end)));
  out.write(bytes_of(kept.headers.data(), kept.headers.size() * sizeof(Elf64_Shdr)));
}

}  // namespace slip::codec
