#include "wheel/index.h"

#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "core/error.h"
#include "core/text.h"

namespace slip::wheel {
namespace {

constexpr std::string_view kJsonType = "application/vnd.pypi.simple.v1+json";
constexpr std::uint64_t kMaxPage = 64u << 20;

std::string text_or(const codec::Json& json, const char* key) {
  const auto found = json.find(key);
  return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::vector<IndexFile> parse_json_page(std::string_view body, const std::string& page_url) {
  const codec::Json page = codec::parse_json(body, page_url, {kMaxPage, 32});
  const auto files = page.find("files");
  if (files == page.end() || !files->is_array()) {
    throw Error(ErrorKind::Invalid, "`{}` is no page of a package index: it has no `files`", page_url);
  }
  std::vector<IndexFile> found;
  for (const codec::Json& entry : *files) {
    if (!entry.is_object()) {
      continue;
    }
    IndexFile file;
    file.file = text_or(entry, "filename");
    file.url = absolute_url(page_url, text_or(entry, "url"));
    file.requires_python = text_or(entry, "requires-python");
    file.upload_time = text_or(entry, "upload-time");
    if (const auto hashes = entry.find("hashes"); hashes != entry.end() && hashes->is_object()) {
      file.sha256 = Digest::parse(text_or(*hashes, "sha256"));
    }
    if (const auto size = entry.find("size"); size != entry.end() && size->is_number_unsigned()) {
      file.size = size->get<std::uint64_t>();
    }
    if (const auto yanked = entry.find("yanked"); yanked != entry.end()) {
      file.yanked = yanked->is_string() || (yanked->is_boolean() && yanked->get<bool>());
    }
    found.push_back(std::move(file));
  }
  return found;
}

std::string unescape(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    bool replaced = false;
    for (const auto& [entity, plain] :
         {std::pair{"&gt;", ">"}, {"&lt;", "<"}, {"&amp;", "&"}, {"&quot;", "\""}, {"&#39;", "'"}}) {
      if (text.starts_with(entity)) {
        out += plain;
        text.remove_prefix(std::string_view(entity).size());
        replaced = true;
        break;
      }
    }
    if (!replaced) {
      out += text.front();
      text.remove_prefix(1);
    }
  }
  return out;
}

/// Value of an attribute inside one tag's text; nullopt when it is not there.
std::optional<std::string> attribute(std::string_view tag, std::string_view name) {
  for (std::size_t at = tag.find(name); at != std::string_view::npos; at = tag.find(name, at + 1)) {
    const std::size_t equals = at + name.size();
    const bool starts = at > 0 && (tag[at - 1] == ' ' || tag[at - 1] == '\n' || tag[at - 1] == '\t');
    if (starts && equals + 1 < tag.size() && tag[equals] == '=' &&
        (tag[equals + 1] == '"' || tag[equals + 1] == '\'')) {
      const std::size_t end = tag.find(tag[equals + 1], equals + 2);
      if (end != std::string_view::npos) {
        return unescape(tag.substr(equals + 2, end - equals - 2));
      }
    }
  }
  return std::nullopt;
}

std::vector<IndexFile> parse_html_page(std::string_view body, const std::string& page_url) {
  std::vector<IndexFile> found;
  for (std::size_t at = body.find("<a "); at != std::string_view::npos; at = body.find("<a ", at + 1)) {
    const std::size_t close = body.find('>', at);
    const std::size_t end = body.find("</a>", at);
    if (close == std::string_view::npos || end == std::string_view::npos || close > end) {
      break;
    }
    // A quoted ">" inside an attribute is written &gt; by every index.
    const std::string_view tag = body.substr(at, close - at);
    const auto link = attribute(tag, "href");
    if (!link) {
      continue;
    }
    IndexFile file;
    file.file = unescape(trim(body.substr(close + 1, end - close - 1)));
    const std::size_t fragment = link->find('#');
    if (fragment != std::string::npos && std::string_view(*link).substr(fragment + 1).starts_with("sha256=")) {
      file.sha256 = Digest::parse(std::string_view(*link).substr(fragment + 8));
    }
    file.url = absolute_url(page_url, link->substr(0, fragment));
    file.requires_python = attribute(tag, "data-requires-python").value_or("");
    file.yanked = attribute(tag, "data-yanked").has_value();
    found.push_back(std::move(file));
  }
  return found;
}

}  // namespace

std::string absolute_url(const std::string& base, const std::string& link) {
  if (link.find("://") != std::string::npos) {
    return link;
  }
  const std::size_t scheme = base.find("://");
  const std::size_t path = base.find('/', scheme == std::string::npos ? 0 : scheme + 3);
  if (link.starts_with("//")) {
    return base.substr(0, scheme + 1) + link;
  }
  std::string root = base.substr(0, path);
  if (link.starts_with('/')) {
    return root + link;
  }
  // Folder of the page, then the link's parts one by one.
  std::vector<std::string_view> parts;
  if (path != std::string::npos) {
    const std::string_view folder = std::string_view(base).substr(path + 1, base.rfind('/') - path);
    for (const std::string_view part : split(folder, '/')) {
      if (!part.empty()) {
        parts.push_back(part);
      }
    }
  }
  for (const std::string_view part : split(link, '/')) {
    if (part == "..") {
      if (!parts.empty()) {
        parts.pop_back();
      }
    } else if (part != "." && !part.empty()) {
      parts.push_back(part);
    }
  }
  for (const std::string_view part : parts) {
    root += "/";
    root += part;
  }
  return root;
}

std::vector<IndexFile> parse_index_page(std::string_view body, bool json, const std::string& page_url) {
  std::vector<IndexFile> files = json ? parse_json_page(body, page_url) : parse_html_page(body, page_url);
  // A file's name becomes a path on this host: what could lead elsewhere is no file of ours.
  std::erase_if(files, [](const IndexFile& file) {
    return file.file.empty() || file.file.find('/') != std::string::npos || printable(file.file) != file.file;
  });
  return files;
}

std::map<std::string, std::vector<IndexFile>> fetch_index(const std::vector<std::string>& projects,
                                                          const std::string& alias, const config::Config& config,
                                                          http::Client& client) {
  std::map<std::string, std::vector<IndexFile>> found;
  std::vector<std::string> wanted = projects;
  for (std::string base : config::require_python(config, alias)) {
    while (base.ends_with('/')) {
      base.pop_back();
    }
    std::vector<std::string> urls;
    for (const std::string& project : wanted) {
      urls.push_back(base + "/" + project + "/");
    }
    const std::vector<http::Response> pages =
        client.get_all(urls, {{"Accept", format("{}, text/html;q=0.2", std::string(kJsonType))}}, kMaxPage);
    std::vector<std::string> missing;
    for (std::size_t i = 0; i < pages.size(); ++i) {
      if (pages[i].status == 404) {
        missing.push_back(wanted[i]);
        continue;
      }
      if (pages[i].status != 200) {
        throw http::status_error(pages[i]);
      }
      const auto type = pages[i].headers.find("content-type");
      const bool json = type != pages[i].headers.end() && type->second.find("json") != std::string::npos;
      found[wanted[i]] = parse_index_page(pages[i].body, json, pages[i].url.empty() ? urls[i] : pages[i].url);
    }
    wanted = std::move(missing);
    if (wanted.empty()) {
      break;
    }
  }
  return found;
}

}  // namespace slip::wheel
