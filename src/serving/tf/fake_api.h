#pragma once

#include <cstdlib>
#include <cstring>
#include <vector>

#include "serving/tf/api.h"

/// What tensors need of TensorFlow's C API, without TensorFlow: for fuzzers and tests of parsers.
namespace slip::serving::test {

struct FakeTensor {
  int type = 0;
  std::vector<std::int64_t> shape;
  void* data = nullptr;
  std::size_t bytes = 0;
  void (*release)(void*, std::size_t, void*) = nullptr;
  void* argument = nullptr;
};

inline FakeTensor* fake(const TF_Tensor* tensor) {
  return reinterpret_cast<FakeTensor*>(const_cast<TF_Tensor*>(tensor));
}

/// A text as pointer and size in the 24 bytes of a TF_TString.
struct FakeText {
  char* data;
  std::size_t size;
};
inline FakeText& text_of(const TF_TString* text) { return *reinterpret_cast<FakeText*>(const_cast<TF_TString*>(text)); }

inline const TfApi& fake_tensorflow() {
  static const TfApi api = [] {
    TfApi table;
    table.NewTensor = [](int type, const std::int64_t* shape, int rank, void* data, std::size_t bytes,
                         void (*release)(void*, std::size_t, void*), void* argument) {
      return reinterpret_cast<TF_Tensor*>(new FakeTensor{type, {shape, shape + rank}, data, bytes, release, argument});
    };
    table.DeleteTensor = [](TF_Tensor* tensor) {
      FakeTensor* held = fake(tensor);
      held->release(held->data, held->bytes, held->argument);
      delete held;
    };
    table.TensorType = [](const TF_Tensor* tensor) { return fake(tensor)->type; };
    table.NumDims = [](const TF_Tensor* tensor) { return static_cast<int>(fake(tensor)->shape.size()); };
    table.Dim = [](const TF_Tensor* tensor, int i) { return fake(tensor)->shape[static_cast<std::size_t>(i)]; };
    table.TensorByteSize = [](const TF_Tensor* tensor) { return fake(tensor)->bytes; };
    table.TensorData = [](const TF_Tensor* tensor) { return fake(tensor)->data; };
    table.StringInit = [](TF_TString* text) { text_of(text) = {nullptr, 0}; };
    table.StringCopy = [](TF_TString* text, const char* from, std::size_t size) {
      text_of(text) = {static_cast<char*>(std::malloc(size + 1)), size};
      if (size != 0) {
        std::memcpy(text_of(text).data, from, size);
      }
    };
    table.StringDealloc = [](TF_TString* text) { std::free(text_of(text).data); };
    table.StringGetDataPointer = [](const TF_TString* text) -> const char* { return text_of(text).data; };
    table.StringGetSize = [](const TF_TString* text) { return text_of(text).size; };
    return table;
  }();
  return api;
}

}  // namespace slip::serving::test
