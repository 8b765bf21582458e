#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "serving/tf/api.h"
#include "serving/tf/model.h"

namespace slip::serving::test {

inline bool have_tensorflow() {
  return std::filesystem::exists(SLIP_TF_DIR "/tensorflow/libtensorflow_framework.so.2");
}
inline const TfApi& tensorflow() { return load_tensorflow(SLIP_TF_DIR "/tensorflow"); }
inline std::filesystem::path model_folder(const std::string& name) {
  return std::filesystem::path(SLIP_SOURCE_DIR "/tests/serving/models") / name;
}

/// A test that runs real TensorFlow; skips, and says so, where its libraries are not there.
class WithTensorflow : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!have_tensorflow()) {
      GTEST_SKIP() << "no TensorFlow runtime in " << SLIP_TF_DIR;
    }
  }
  static std::unique_ptr<Model> load(const std::string& name) {
    auto model = Model::load(tensorflow(), model_folder(name), {});
    EXPECT_TRUE(model) << (model ? "" : to_string(model.error()));
    return model ? std::move(*model) : nullptr;
  }
};

}  // namespace slip::serving::test
