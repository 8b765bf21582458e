#include "serving/tf/json_tensor.h"

#include <gtest/gtest.h>

#include <bit>
#include <cstdlib>

#include "serving/json/hard_numbers.h"
#include "serving/tf/fake_api.h"

namespace slip::serving {
namespace {

/// The tensor of a list of `type`.
Tensor read(const std::string& text, DataType type) {
  JsonScanner scanner(text);
  TensorBuilder builder(test::fake_tensorflow(), type);
  Shape shape;
  DenseReader reader(scanner);
  EXPECT_TRUE(reader.read(builder, shape)) << reader.failure().message;
  EXPECT_FALSE(scanner.failed());
  EXPECT_EQ(scanner.left(), 0u);
  return builder.finish(shape);
}

TEST(DenseReaderTest, ListsHoldTheNearestDoubleAndWhatItRoundsTo) {
  constexpr const char* kBetween[] = {",", ", ", " , ", ",\n", "\t,  "};
  test::HardNumbers numbers(11);
  for (int i = 0; i < 2000; ++i) {
    std::string text = "[";
    std::vector<double> expected;
    for (int j = 0; j < 1 + i % 40; ++j) {
      const std::string number = numbers.next();
      expected.push_back(std::strtod(number.c_str(), nullptr));
      text += (j == 0 ? "" : kBetween[(i + j) % 5]) + number;
    }
    text += i % 2 == 0 ? "]" : " ]";
    const Tensor doubles = read(text, DataType::Double);
    const Tensor floats = read(text, DataType::Float);
    ASSERT_EQ(doubles.shape(), (Shape{static_cast<std::int64_t>(expected.size())}));
    for (std::size_t j = 0; j < expected.size(); ++j) {
      ASSERT_EQ(std::bit_cast<std::uint64_t>(doubles.as<double>()[j]), std::bit_cast<std::uint64_t>(expected[j]))
          << text << " at " << j;
      ASSERT_EQ(std::bit_cast<std::uint32_t>(floats.as<float>()[j]),
                std::bit_cast<std::uint32_t>(static_cast<float>(expected[j])))
          << text << " at " << j;
    }
  }
}

TEST(DenseReaderTest, ListsOfNumbersEndWhereTheyAreMalformed) {
  for (const char* text : {"[1.5, 2.5 3.5, 4.0]                  ", "[1.5,, 2.5]                   ",
                           "[1.5, 2.5,]                        ", "[1.5, 02.5]                       ",
                           "[1.5, 2.]                            ", "[1.5, .5]                           ",
                           "[1.5, 1e]                            ", "[1.5, +1]                            ",
                           "[1.5, - 1]                           ", "[1.5, 2.5                            "}) {
    JsonScanner scanner(text);
    TensorBuilder builder(test::fake_tensorflow(), DataType::Float);
    Shape shape;
    DenseReader reader(scanner);
    EXPECT_FALSE(reader.read(builder, shape)) << text;
    EXPECT_TRUE(scanner.failed()) << text << reader.failure().message;
  }
}

}  // namespace
}  // namespace slip::serving
