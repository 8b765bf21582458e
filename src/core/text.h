#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace slip {

/// Splits at every `at`; "a,,b" gives three parts, "" gives one empty part. The views point into `text`.
std::vector<std::string_view> split(std::string_view text, char at);
/// Splits at runs of blanks (space, tab, CR, LF); no empty parts.
std::vector<std::string_view> split_words(std::string_view text);
/// Without blanks at both ends.
std::string_view trim(std::string_view text) noexcept;
std::string join(const std::vector<std::string>& parts, std::string_view between);
/// ASCII only, whatever the locale.
std::string to_lower(std::string_view text);
/// "4.2 MB" (decimal units, one digit), "512 B".
std::string human_size(std::uint64_t bytes);
/// "1.8s", "45ms", "2m 03s".
std::string human_seconds(double seconds);
/// Makes foreign text safe to print: control bytes and invalid UTF-8 become \xNN.
std::string printable(std::string_view foreign);

}  // namespace slip
