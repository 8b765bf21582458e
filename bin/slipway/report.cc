#include "report.h"

#include "core/text.h"

namespace slip::cli {
namespace {

/// One labelled paragraph, wrapped with a hanging indent; the label is wider than it looks when it is coloured.
std::string labelled(const std::string& label, std::string_view text, std::size_t indent, std::size_t width) {
  std::string out;
  for (const std::string_view line : split(text, '\n')) {
    if (out.empty()) {
      out = std::string(indent, ' ') + wrap(label + " " + std::string(line), width > indent ? width - indent : 0, 4) +
            "\n";
    } else {
      out += "    " + std::string(line) + "\n";
    }
  }
  return out;
}

std::string excerpt(std::string_view text) {
  std::string out;
  for (const std::string_view line : split(text, '\n')) {
    out += std::string(line) + "\n";
  }
  return out;
}

}  // namespace

std::string render(const Error& error, const Terminal& terminal) {
  const std::size_t width = terminal.width();
  std::string out = labelled(terminal.paint(Style::Failed, "error:"), error.chain().front(), 0, width);
  for (std::size_t i = 1; i < error.chain().size(); ++i) {
    const std::string& cause = error.chain()[i];
    out += cause.starts_with(' ') ? excerpt(cause) : labelled("Caused by:", cause, 2, width);
  }
  if (!error.hints().empty()) {
    out += "\n";
  }
  for (const std::string& hint : error.hints()) {
    out += labelled(terminal.paint(Style::Literal, "hint:"), hint, 0, width);
  }
  return out;
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20) {
      out += format("\\u{:04x}", static_cast<unsigned>(byte));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string render_json(const Error& error) {
  const auto text = [](const std::string& t) {
    std::string safe;
    for (const std::string_view line : split(t, '\n')) {
      safe += (safe.empty() ? "" : "\n") + printable(line);
    }
    return json_string(safe);
  };
  std::string causes;
  for (std::size_t i = 1; i < error.chain().size(); ++i) {
    causes += (causes.empty() ? "" : ", ") + text(error.chain()[i]);
  }
  const std::string hint = error.hints().empty() ? "null" : text(join(error.hints(), "\n"));
  return format("{{\"kind\": {}, \"message\": {}, \"causes\": [{}], \"hint\": {}}}\n",
                json_string(name_of(error.kind())), text(error.chain().front()), causes, hint);
}

int exit_status_of(const Error& error) noexcept {
  if (error.exit_status()) {
    return *error.exit_status();
  }
  return error.kind() == ErrorKind::Usage || error.kind() == ErrorKind::Internal ? 2 : 1;
}

}  // namespace slip::cli
