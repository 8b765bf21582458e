#include "roff.h"

#include "core/format.h"
#include "core/text.h"

namespace slip::cli {
namespace {

constexpr std::size_t kWidth = 78;

/// One word with roff's own characters escaped: a minus is what is typed, not a hyphen.
std::string escaped(std::string_view word) {
  std::string out;
  for (const char c : word) {
    switch (c) {
      case '\\': out += "\\e"; break;
      case '-': out += "\\-"; break;
      case '~': out += "\\(ti"; break;
      case '^': out += "\\(ha"; break;
      case '\'': out += "\\(aq"; break;
      default: out += c;
    }
  }
  return out.starts_with('.') ? "\\&" + out : out;
}

std::string to_upper(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return out;
}

/// Filled lines; backquotes switch bold on and off, also within a word.
std::string filled(std::string_view text) {
  std::string out;
  std::string line;
  bool bold = false;
  for (const std::string_view word : split_words(text)) {
    std::string shown;
    const std::vector<std::string_view> parts = split(word, '`');
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (i > 0) {
        bold = !bold;
        shown += bold ? "\\fB" : "\\fR";
      }
      shown += escaped(parts[i]);
    }
    if (!line.empty() && line.size() + 1 + shown.size() > kWidth) {
      out += line + "\n";
      line.clear();
    }
    line += (line.empty() ? "" : " ") + shown;
  }
  return out + line + "\n";
}

}  // namespace

Roff::Roff(std::string_view title, std::string_view section)
    : text_(format(".\\\" Made from slipway's declarations.\n.TH {} {} {} \"slipway {}\" \"slipway manual\"\n",
                   escaped(to_upper(title)), section, SLIP_DATE, SLIP_VERSION)) {}

void Roff::heading(std::string_view title) { text_ += format(".SH {}\n", title); }

void Roff::subheading(std::string_view title) { text_ += format(".SS {}\n", escaped(title)); }

void Roff::paragraph(std::string_view text) {
  // Behind a heading a paragraph has begun already.
  const std::size_t last = text_.rfind('\n', text_.size() - 2) + 1;
  text_ += text_.compare(last, 2, ".S") == 0 ? "" : ".PP\n";
  text_ += filled(text);
}

void Roff::item(std::string_view bold, std::string_view text) {
  text_ += format(".TP\n\\fB{}\\fR\n", escaped(bold)) + (trim(text).empty() ? "\\&\n" : filled(text));
}

void Roff::verbatim(std::string_view lines) {
  text_ += ".PP\n.RS 4\n.nf\n";
  for (const std::string_view line : split(lines, '\n')) {
    text_ += escaped(line) + "\n";
  }
  text_ += ".fi\n.RE\n";
}

void Roff::name(std::string_view what, std::string_view summary) {
  heading("NAME");
  text_ += escaped(what) + " \\-\n" + filled(summary);
}

void Roff::see_also(const std::string& pages) {
  heading("SEE ALSO");
  std::string text;
  for (const std::string_view page : split_words(pages)) {
    const std::size_t open = page.find('(');
    text += format("{}\\fB{}\\fR{}", text.empty() ? "" : ",\n", escaped(page.substr(0, open)), page.substr(open));
  }
  text_ += text + "\n";
}

}  // namespace slip::cli
