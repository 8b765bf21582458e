#include "serving/batch/rows.h"

#include <gtest/gtest.h>

#include "serving/batch/settings.h"
#include "serving/tf/fake_api.h"

namespace slip::serving {
namespace {

Tensor numbers(const Shape& shape, std::initializer_list<float> values) {
  TensorBuilder builder(test::fake_tensorflow(), DataType::Float);
  for (const float value : values) {
    builder.push(value);
  }
  return builder.finish(shape);
}

std::vector<float> values_of(const Tensor& tensor) { return {tensor.as<float>(), tensor.as<float>() + tensor.count()}; }

TEST(BatchRowsTest, JoinedRowsEndWithCopiesOfTheLast) {
  const Tensor a = numbers({1, 2}, {1, 2});
  const Tensor b = numbers({2, 2}, {3, 4, 5, 6});
  const Tensor all = join_rows(test::fake_tensorflow(), {&a, &b}, 5);
  EXPECT_EQ(all.shape(), (Shape{5, 2}));
  EXPECT_EQ(values_of(all), (std::vector<float>{1, 2, 3, 4, 5, 6, 5, 6, 5, 6}));
}

TEST(BatchRowsTest, RowsOfOtherSizesAreFilledWithTheFirstElement) {
  const Tensor a = numbers({1, 1, 2}, {1, 2});
  const Tensor b = numbers({1, 2, 1}, {3, 4});
  const Tensor all = join_rows(test::fake_tensorflow(), {&a, &b}, 2);
  EXPECT_EQ(all.shape(), (Shape{2, 2, 2}));
  EXPECT_EQ(values_of(all), (std::vector<float>{1, 2, 1, 1, 3, 3, 4, 3}));
  const Tensor empty = numbers({1, 0}, {});
  const Tensor one = numbers({1, 1}, {7});
  EXPECT_EQ(values_of(join_rows(test::fake_tensorflow(), {&empty, &one}, 2)), (std::vector<float>{0, 7}));
}

TEST(BatchRowsTest, TextsAreJoinedAndCut) {
  TensorBuilder builder(test::fake_tensorflow(), DataType::String);
  builder.push_text("a");
  builder.push_text("");
  std::vector<Tensor> tensors;
  tensors.push_back(builder.finish({2}));
  tensors.push_back(join_rows(test::fake_tensorflow(), {&tensors[0], &tensors[0]}, 4));
  const auto cut = cut_rows(test::fake_tensorflow(), tensors, 1, 2);
  EXPECT_EQ(cut[0].text(0), "");
  EXPECT_EQ(cut[1].shape(), Shape{1});
  EXPECT_EQ(tensors[1].text(2), "a");
}

TEST(BatchSettingsTest, EveryFieldIsRead) {
  const auto settings = read_batch_settings(
      "max_batch_size { value: 8 } batch_timeout_micros { value: 5 } max_enqueued_batches { value: 6 } "
      "num_batch_threads { value: 2 } thread_pool_name { value: \"pool\" } pad_variable_length_inputs: true "
      "enable_large_batch_splitting { value: true } max_execution_batch_size { value: 4 } allowed_batch_sizes: [2, 4]");
  ASSERT_TRUE(settings) << settings.error().message;
  EXPECT_EQ(settings->max_batch_size, 8);
  EXPECT_EQ(settings->most_rows(), 4);
  EXPECT_EQ(settings->thread_pool_name, "pool");
  EXPECT_TRUE(settings->pad_variable_length_inputs);
  EXPECT_EQ(settings->allowed_batch_sizes, (std::vector<std::int64_t>{2, 4}));
}

TEST(BatchSettingsTest, ContradictionsAreErrors) {
  for (const char* text :
       {"max_batch_size { value: 0 }", "max_batch_size { value: -1 }",
        "max_batch_size { value: 4 } allowed_batch_sizes: 2",
        "max_batch_size { value: 4 } allowed_batch_sizes: 4 allowed_batch_sizes: 2",
        "max_batch_size { value: 4 } enable_large_batch_splitting: true max_execution_batch_size { value: 8 }",
        "max_batch_size: 4", "max_batch_size { valu: 4 }", "unknown { value: 1 }"}) {
    EXPECT_FALSE(read_batch_settings(text)) << text;
  }
}

}  // namespace
}  // namespace slip::serving
