#include "image/captured.h"

#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "core/error.h"
#include "os/file.h"

namespace slip::image {
namespace {

using codec::Json;

constexpr std::string_view kTypes = "fhscbdp";  // in the order of codec::FileType

std::string hex(std::string_view raw) {
  std::string text;
  for (const char c : raw) {
    text += format("{:02x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  }
  return text;
}

std::string unhex(const std::string& text) {
  std::string raw;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    raw += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  return raw;
}

Json to_json(const codec::LayerItem& item, std::size_t& files) {
  const codec::TarEntry& e = item.entry;
  Json line = {{"path", e.path},  {"type", std::string(1, kTypes[static_cast<std::size_t>(e.type)])},
               {"mode", e.mode},  {"uid", e.uid},
               {"gid", e.gid},    {"size", e.size},
               {"mtime", e.mtime}};
  if (!e.link.empty()) {
    line["link"] = e.link;
  }
  if (e.dev_major != 0 || e.dev_minor != 0) {
    line["dev"] = {e.dev_major, e.dev_minor};
  }
  for (const auto& [name, value] : e.xattrs) {
    line["xattrs"][name] = hex(value);
  }
  if (const auto* text = std::get_if<codec::InlineContent>(&item.content)) {
    line["inline"] = hex(text->bytes);
  } else if (!std::holds_alternative<codec::NoContent>(item.content)) {
    line["file"] = files++;
  }
  return line;
}

codec::LayerItem from_json(const Json& line, const std::filesystem::path& folder) {
  codec::LayerItem item;
  codec::TarEntry& e = item.entry;
  e.path = line.at("path").get<std::string>();
  e.type = static_cast<codec::FileType>(kTypes.find(line.at("type").get<std::string>()));
  e.mode = line.at("mode").get<std::uint32_t>();
  e.uid = line.at("uid").get<std::uint32_t>();
  e.gid = line.at("gid").get<std::uint32_t>();
  e.size = line.at("size").get<std::uint64_t>();
  e.mtime = line.at("mtime").get<std::int64_t>();
  e.link = line.value("link", std::string());
  if (line.contains("dev")) {
    e.dev_major = line.at("dev").at(0).get<std::uint32_t>();
    e.dev_minor = line.at("dev").at(1).get<std::uint32_t>();
  }
  if (line.contains("xattrs")) {
    for (const auto& [name, value] : line.at("xattrs").items()) {
      e.xattrs[name] = unhex(value.get<std::string>());
    }
  }
  if (line.contains("inline")) {
    item.content = codec::InlineContent{unhex(line.at("inline").get<std::string>())};
  } else if (line.contains("file")) {
    item.content = codec::FileContent{folder / "files" / std::to_string(line.at("file").get<std::size_t>())};
  }
  return item;
}

}  // namespace

void save_captured(const std::vector<codec::LayerItem>& items, const std::filesystem::path& into) {
  os::make_dirs(into / "files", 0755);
  Json list = Json::array();
  std::size_t files = 0;
  for (const codec::LayerItem& item : items) {
    const std::size_t number = files;
    list.push_back(to_json(item, files));
    if (const auto* file = std::get_if<codec::FileContent>(&item.content)) {
      os::call(::rename, file->path.c_str(), (into / "files" / std::to_string(number)).c_str())
          .or_throw("keep `/{}`", item.entry.path);
    } else if (std::holds_alternative<codec::SplicedContent>(item.content)) {
      throw Error(ErrorKind::Internal, "`/{}` of a captured layer is spliced", item.entry.path);
    }
  }
  os::write_file(into / "items.json", codec::dump_canonical(list));
}

std::vector<codec::LayerItem> load_captured(const std::filesystem::path& folder) {
  const std::string text = os::read_file(folder / "items.json");
  try {
    const Json list = Json::parse(text);
    std::vector<codec::LayerItem> items;
    items.reserve(list.size());
    for (const Json& line : list) {
      items.push_back(from_json(line, folder));
    }
    return items;
  } catch (const Json::exception& e) {
    Error error(ErrorKind::Corrupt, "read the captured layer `{}`", folder.string());
    error.add_cause(e.what()).add_hint("run `slipway gc` and build again");
    throw error;
  }
}

}  // namespace slip::image
