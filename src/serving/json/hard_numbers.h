#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <random>
#include <string>

/// JSON numbers that a quick reader may get wrong, for tests.
namespace slip::serving::test {

class HardNumbers {
 public:
  explicit HardNumbers(std::uint64_t seed) : random_(seed) {}

  std::string next() {
    const std::string sign = below(4) == 0 ? "-" : "";
    switch (below(5)) {
      case 0: return sign + digits();
      case 1: return sign + printed(static_cast<double>(random_()) / static_cast<double>(random_() | 1));
      case 2: return sign + printed(static_cast<float>(random_() >> 40) / 8192.0f);
      case 3: return sign + between(53);   // two doubles
      default: return sign + between(24);  // two floats
    }
  }

 private:
  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }

  /// Any digits before and behind the point, perhaps with an exponent.
  std::string digits() {
    std::string text;
    for (std::uint64_t i = 1 + below(20); i > 0; --i) {
      text += static_cast<char>('0' + below(10));
    }
    if (text[0] == '0') {
      text = "0";
    }
    if (below(5) != 0) {
      text += '.' + std::string(below(4) == 0 ? below(8) : 0, '0');
      for (std::uint64_t i = 1 + below(20); i > 0; --i) {
        text += static_cast<char>('0' + below(10));
      }
    }
    if (below(6) == 0) {
      text += (below(2) == 0 ? "e" : "E-") + std::to_string(below(280));
    }
    return text;
  }

  std::string printed(double value) {
    char text[400];
    const int precision = static_cast<int>(1 + below(19));
    std::snprintf(text, sizeof text, below(2) == 0 ? "%.*g" : "%.*f", precision, value);
    return text;
  }

  /// The middle between two neighbours that have `bits` bits, in all its digits or with one more, or one off.
  std::string between(int bits) {
    const std::uint64_t odd = (std::uint64_t{1} << bits) + below(std::uint64_t{1} << bits) / 2 * 2 + 1;
    const int places = static_cast<int>(below(30));
    char text[400];
    std::snprintf(text, sizeof text, "%.*Lf", places, std::ldexp(static_cast<long double>(odd), -places));
    std::string number = text;
    if (below(3) == 0) {
      number += (places == 0 ? "." : "") + std::string(below(4), '0') + (below(2) == 0 ? "1" : "0");
    } else if (below(3) == 0 && number.back() > '0' && number.back() < '9') {
      number.back() = static_cast<char>(number.back() + (below(2) == 0 ? 1 : -1));
    }
    return number;
  }

  std::mt19937_64 random_;
};

}  // namespace slip::serving::test
