#pragma once

#include <fmt/format.h>

#include <cstddef>
#include <string>
#include <type_traits>

namespace slip {

/// A format string whose number of replacement fields is checked against the number of arguments.
///
/// fmt itself rejects too few arguments and wrong types, but accepts surplus ones in silence: an error message
/// then loses its reason and nobody notices. Here a surplus argument is a compile error. Only automatic
/// fields (`{}`, `{:x}`, `{:{}}`) are allowed; `{{` and `}}` are literal braces.
template <class... Args>
struct CheckedFormat {
  fmt::format_string<Args...> text;

  template <std::size_t N>
  consteval CheckedFormat(const char (&s)[N])
      : text(s) {  // NOLINT(google-explicit-constructor): call sites pass literals
    std::size_t fields = 0;
    for (std::size_t i = 0; i + 1 < N; ++i) {
      if (s[i] != '{') {
        continue;
      }
      if (s[i + 1] == '{') {
        ++i;
        continue;
      }
      ++fields;
    }
    if (fields != sizeof...(Args)) {
      throw "the number of {} fields differs from the number of arguments";
    }
  }
};

/// Non-deduced form for function parameters: `template <class... A> void f(Fmt<A...> text, A&&... a)`.
template <class... Args>
using Fmt = CheckedFormat<std::type_identity_t<Args>...>;

/// fmt::format with the field count checked.
template <class... A>
std::string format(Fmt<A...> text, A&&... a) {
  return fmt::vformat(text.text, fmt::make_format_args(a...));
}

}  // namespace slip
