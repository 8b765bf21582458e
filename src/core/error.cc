#include "core/error.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace slip {

std::string_view name_of(ErrorKind kind) noexcept {
  switch (kind) {
    case ErrorKind::Usage: return "usage";
    case ErrorKind::NotFound: return "not-found";
    case ErrorKind::Invalid: return "invalid";
    case ErrorKind::Denied: return "denied";
    case ErrorKind::Unsupported: return "unsupported";
    case ErrorKind::Unavailable: return "unavailable";
    case ErrorKind::Conflict: return "conflict";
    case ErrorKind::Corrupt: return "corrupt";
    case ErrorKind::NoSpace: return "no-space";
    case ErrorKind::Internal: return "internal";
  }
  return "internal";
}

Error& Error::add_hint(std::string hint) {
  if (std::find(hints_.begin(), hints_.end(), hint) == hints_.end()) {
    hints_.push_back(std::move(hint));
  }
  return *this;
}

std::string Error::joined() const {
  std::string all;
  for (const std::string& frame : chain_) {
    if (!all.empty()) {
      all += ": ";
    }
    all += frame;
  }
  return all;
}

std::string errno_text(int err) {
  const char* name = ::strerrorname_np(err);
  const char* text = ::strerrordesc_np(err);
  if (name == nullptr || text == nullptr) {
    return format("errno {}", err);
  }
  return format("{} ({})", text, name);
}

void check_failed(const char* file, int line, const char* what) noexcept {
  std::fprintf(stderr, "internal error at %s:%d: %s\n", file, line, what);
  std::abort();
}

}  // namespace slip
