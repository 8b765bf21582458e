#include "wheel/archive.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "codec/compress.h"
#include "codec/sha256.h"
#include "core/error.h"
#include "core/text.h"
#include "wheel/dist_info.h"

namespace slip::wheel {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kStreamed = 4u << 20;  // compressed bytes from which on an entry is read piece by piece

/// path → base64 SHA-256 of the wheel's own RECORD.
std::map<std::string, std::string> record_hashes(std::string_view record) {
  std::map<std::string, std::string> hashes;
  for (const RecordRow& row : parse_record(record)) {
    if (row.hash.starts_with("sha256=")) {
      hashes[row.path] = row.hash.substr(7, row.hash.find_last_not_of('=') - 6);
    }
  }
  return hashes;
}

void unpack_into(const WheelInput& wheel, const fs::path& into, const launch::HostId& id) {
  const Archive archive = open_wheel(wheel);
  const auto hashes = record_hashes(archive.text(archive.dist_info + "/RECORD", wheel.file));
  const fs::path root = into / "root";
  std::string made;
  for (const codec::ZipEntry& entry : archive.entries) {  // sorted: each folder comes once
    const std::string folder = fs::path(entry.name).parent_path().string();
    if (folder != made) {
      os::make_dirs(root / folder, 0755);
      made = folder;
    }
  }
  const bool chown = ::geteuid() == 0;
  for (const codec::ZipEntry& entry : archive.entries) {
    const fs::path target = root / entry.name;
    const os::Fd out(static_cast<int>(os::call([&] {
                                        return ::open(target.c_str(),
                                                      O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
                                      }).or_throw("write `{}`", target.string())));
    os::FdSink sink(out.get(), target.string());
    codec::HashSink hash(&sink);
    if (entry.compressed_size > kStreamed && !entry.stored) {
      // Read, not mapped: half a gigabyte of library must not become resident.
      os::RangeSource packed(archive.file.get(), entry.data_offset, entry.compressed_size, wheel.file);
      codec::inflate_exact(packed, entry.size, entry.crc32, hash, wheel.file + ":" + printable(entry.name));
    } else {
      codec::unpack_zip_entry(archive.packed(entry, wheel.file), entry, hash, wheel.file);
    }
    const auto wanted = hashes.find(entry.name);
    if (wanted != hashes.end() && base64url(hash.finish()) != wanted->second) {
      throw Error(ErrorKind::Corrupt, "`{}` of {} differs from what its RECORD says", printable(entry.name),
                  wheel.file);
    }
    // Any execute bit makes a program, everything else is a plain file: the rule of every installer.
    os::call(::fchmod, out.get(), mode_t{(entry.unix_mode & 0111U) != 0 ? 0755U : 0644U})
        .or_throw("set the mode of `{}`", target.string());
    if (chown) {
      os::call(::fchown, out.get(), static_cast<uid_t>(id.uid), static_cast<gid_t>(id.gid))
          .or_throw("give `{}` to the sandbox", target.string());
    }
  }
}

}  // namespace

std::string base64url(const Digest& digest) {
  static constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string out;
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (const std::uint8_t byte : digest.bytes()) {
    bits = (bits << 8) | byte;
    held += 8;
    while (held >= 6) {
      held -= 6;
      out += kLetters[(bits >> held) & 63];
    }
  }
  if (held > 0) {
    out += kLetters[(bits << (6 - held)) & 63];
  }
  return out;
}

const codec::ZipEntry* Archive::find(const std::string& entry) const {
  const auto at = std::lower_bound(entries.begin(), entries.end(), entry,
                                   [](const codec::ZipEntry& e, const std::string& n) { return e.name < n; });
  return at != entries.end() && at->name == entry ? &*at : nullptr;
}

Bytes Archive::packed(const codec::ZipEntry& entry, const std::string& file_name) const {
  Bytes bytes(static_cast<std::size_t>(entry.compressed_size));
  os::RangeSource source(file.get(), entry.data_offset, entry.compressed_size, file_name);
  read_full(source, bytes);
  return bytes;
}

std::string Archive::text(const std::string& entry, const std::string& file_name) const {
  const codec::ZipEntry* found = find(entry);
  if (found == nullptr) {
    return {};
  }
  if (found->size > (64u << 20)) {
    throw Error(ErrorKind::Invalid, "{}: `{}` is too large", file_name, entry);
  }
  BytesSink out;
  codec::unpack_zip_entry(packed(*found, file_name), *found, out, file_name);
  return std::string(as_text(out.data));
}

Archive open_wheel(const WheelInput& wheel) {
  const auto name = parse_wheel_name(wheel.file);
  if (!name) {
    throw Error(ErrorKind::Invalid, "`{}` is not the name of a wheel", wheel.file);
  }
  Archive archive{os::open_read(wheel.path), *name, {}, {}, {}};
  const codec::ReadAt read = [&](std::uint64_t offset, std::span<std::uint8_t> into) {
    os::RangeSource source(archive.file.get(), offset, into.size(), wheel.file);
    read_full(source, into);
  };
  for (codec::ZipEntry& entry : codec::read_zip(read, os::file_size(archive.file, wheel.file), wheel.file)) {
    const std::string top = entry.name.substr(0, entry.name.find('/'));
    if (top.ends_with(".dist-info")) {
      if (!archive.dist_info.empty() && archive.dist_info != top) {
        throw Error(ErrorKind::Invalid, "{} holds two dist-info folders", wheel.file);
      }
      archive.dist_info = top;
    }
    if (!entry.folder()) {
      archive.entries.push_back(std::move(entry));
    }
  }
  std::sort(archive.entries.begin(), archive.entries.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  const std::string stem = archive.dist_info.substr(0, archive.dist_info.rfind(".dist-info"));
  const std::size_t dash = stem.rfind('-');
  if (dash == std::string::npos || normalise(stem.substr(0, dash)) != name->name ||
      !same_version(stem.substr(dash + 1), name->version)) {
    throw Error(ErrorKind::Invalid, "{} has no dist-info folder of its own name and version", wheel.file);
  }
  archive.data = stem + ".data";
  const std::string metadata = archive.text(archive.dist_info + "/WHEEL", wheel.file);
  for (const std::string_view line : split(metadata, '\n')) {
    if (line.starts_with("Wheel-Version:")) {
      if (!trim(line.substr(14)).starts_with("1.")) {
        throw Error(ErrorKind::Unsupported, "{} is a wheel of version {}", wheel.file,
                    printable(trim(line.substr(14))));
      }
      return archive;
    }
  }
  throw Error(ErrorKind::Invalid, "{} does not say its Wheel-Version", wheel.file);
}

std::filesystem::path unpack(const WheelInput& wheel, store::Store& store, const launch::HostId& id) {
  return store.ensure_tree(format("wheel-{}", wheel.sha256.hex()), [&](const fs::path& into) {
    with_context([&] { return format("unpack {}", wheel.file); }, [&] { unpack_into(wheel, into, id); });
  });
}

std::string site_packages(const Target& target) {
  return format("{}/lib/python{}/site-packages", target.prefix.substr(1), target.python);
}

Place place_of(const std::string& entry, const Archive& archive, const Target& target, const std::string& file) {
  const std::string site = site_packages(target);
  if (!entry.starts_with(archive.data + "/")) {
    return {site + "/" + entry, false};
  }
  const std::string inner = entry.substr(archive.data.size() + 1);
  const std::size_t slash = inner.find('/');
  const std::string scheme = inner.substr(0, slash);
  const std::string rest = slash == std::string::npos ? std::string() : inner.substr(slash + 1);
  const std::string prefix = target.prefix.substr(1);
  if (rest.empty()) {
    throw Error(ErrorKind::Invalid, "{}: `{}` stands in no scheme", file, printable(entry));
  }
  if (scheme == "purelib" || scheme == "platlib") {
    return {site + "/" + rest, false};
  }
  if (scheme == "scripts") {
    return {prefix + "/bin/" + rest, true};
  }
  if (scheme == "data") {
    return {prefix + "/" + rest, false};
  }
  if (scheme == "headers") {
    return {format("{}/include/site/python{}/{}/{}", prefix, target.python, archive.name.name, rest), false};
  }
  throw Error(ErrorKind::Invalid, "{}: `{}` is no install scheme", file, printable(scheme));
}

}  // namespace slip::wheel
