#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "codec/zip.h"
#include "os/file.h"
#include "wheel/name.h"
#include "wheel/wheel.h"

namespace slip::wheel {

/// A digest as RECORD writes it: URL-safe base64 without padding.
std::string base64url(const Digest& digest);

/// A wheel opened for reading.
struct Archive {
  os::Fd file;  ///< read, not mapped: mapped pages would count as our memory
  WheelName name;
  std::string dist_info;                 ///< "numpy-1.26.4.dist-info"
  std::string data;                      ///< "numpy-1.26.4.data"
  std::vector<codec::ZipEntry> entries;  ///< without folders, sorted by name

  [[nodiscard]] const codec::ZipEntry* find(const std::string& entry) const;
  /// Packed bytes of an entry.
  [[nodiscard]] Bytes packed(const codec::ZipEntry& entry, const std::string& file_name) const;
  /// Text of a small entry; empty when it is not there.
  [[nodiscard]] std::string text(const std::string& entry, const std::string& file_name) const;
};

/// Opens and checks a wheel: its name, one dist-info folder that agrees with it, Wheel-Version 1.
/// @throws Error Invalid naming the file
/// @source PyPA binary-distribution-format
Archive open_wheel(const WheelInput& wheel);

/// The wheel's files as they are in the archive, below `root` of the returned store tree; every file checked against
/// CRC-32 and RECORD. Unpacked once.
std::filesystem::path unpack(const WheelInput& wheel, store::Store& store, const launch::HostId& id);

/// "3.9" → "/opt/venv/lib/python3.9/site-packages", without the leading "/".
std::string site_packages(const Target& target);

/// Where an entry of the archive belongs, without leading "/"; `script`: it is a program of the data folder.
/// @throws Error Invalid for a scheme that does not exist
struct Place {
  std::string path;
  bool script = false;
};
Place place_of(const std::string& entry, const Archive& archive, const Target& target, const std::string& file);

}  // namespace slip::wheel
