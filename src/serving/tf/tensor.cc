#include "serving/tf/tensor.h"

#include <algorithm>
#include <cstdlib>
#include <new>

#include "core/error.h"

namespace slip::serving {
namespace {

constexpr std::size_t kAlignment = 64;

std::size_t element_size(DataType type) noexcept {
  return type == DataType::String ? sizeof(TF_TString) : size_of(type);
}

void release_plain(void* data, std::size_t, void*) { std::free(data); }

void release_texts(void* data, std::size_t length, void* api) {
  auto* texts = static_cast<TF_TString*>(data);
  for (std::size_t i = 0; i < length / sizeof(TF_TString); ++i) {
    static_cast<const TfApi*>(api)->StringDealloc(texts + i);
  }
  std::free(data);
}

}  // namespace

Tensor& Tensor::operator=(Tensor&& other) noexcept {
  if (this != &other) {
    std::swap(api_, other.api_);
    std::swap(raw_, other.raw_);
  }
  return *this;
}

Tensor::~Tensor() {
  if (raw_ != nullptr) {
    api_->DeleteTensor(raw_);
  }
}

Shape Tensor::shape() const {
  Shape shape(static_cast<std::size_t>(api_->NumDims(raw_)));
  for (std::size_t i = 0; i < shape.size(); ++i) {
    shape[i] = api_->Dim(raw_, static_cast<int>(i));
  }
  return shape;
}

std::int64_t Tensor::count() const noexcept {
  std::int64_t count = 1;
  for (int i = 0; i < api_->NumDims(raw_); ++i) {
    count *= api_->Dim(raw_, i);
  }
  return count;
}

std::string_view Tensor::text(std::int64_t i) const noexcept {
  const auto* element = as<TF_TString>() + i;
  return {api_->StringGetDataPointer(element), api_->StringGetSize(element)};
}

TensorBuilder::TensorBuilder(const TfApi& api, DataType type) noexcept
    : api_(&api), type_(type), element_(element_size(type)) {}

TensorBuilder::TensorBuilder(TensorBuilder&& other) noexcept
    : api_(other.api_),
      type_(other.type_),
      element_(other.element_),
      data_(std::exchange(other.data_, nullptr)),
      count_(std::exchange(other.count_, 0)),
      capacity_(std::exchange(other.capacity_, 0)) {}

TensorBuilder::~TensorBuilder() { release(); }

void TensorBuilder::release() noexcept {
  if (data_ == nullptr) {
    return;
  }
  if (type_ == DataType::String) {
    release_texts(data_, count_ * element_, const_cast<TfApi*>(api_));
  } else {
    std::free(data_);
  }
}

void TensorBuilder::reserve(std::size_t count) {
  if (count <= capacity_) {
    return;
  }
  const std::size_t bytes = (count * element_ + kAlignment - 1) / kAlignment * kAlignment;
  auto* fresh = static_cast<unsigned char*>(std::aligned_alloc(kAlignment, bytes));
  if (fresh == nullptr) {
    throw std::bad_alloc();
  }
  if (data_ != nullptr) {
    // A string element may move: it points to its text on the heap or holds it inline, never into itself.
    std::memcpy(fresh, data_, count_ * element_);
    std::free(data_);
  }
  data_ = fresh;
  capacity_ = bytes / element_;
}

void TensorBuilder::grow() { reserve(capacity_ == 0 ? 16 : capacity_ * 2); }

void TensorBuilder::push_text(std::string_view text) {
  if (count_ == capacity_) {
    grow();
  }
  auto* element = reinterpret_cast<TF_TString*>(data_) + count_++;
  api_->StringInit(element);
  api_->StringCopy(element, text.data(), text.size());
}

void TensorBuilder::append(const void* data, std::size_t bytes) {
  const std::size_t more = bytes / element_;
  if (count_ + more > capacity_) {
    reserve(std::max(count_ + more, capacity_ * 2));
  }
  if (bytes != 0) {
    std::memcpy(data_ + count_ * element_, data, bytes);
  }
  count_ += more;
}

void TensorBuilder::repeat(std::size_t index, std::size_t times) {
  reserve(count_ + times);
  for (std::size_t i = 0; i < times; ++i) {
    if (type_ == DataType::String) {
      const auto* texts = reinterpret_cast<const TF_TString*>(data_);
      push_text({api_->StringGetDataPointer(texts + index), api_->StringGetSize(texts + index)});
    } else {
      std::memcpy(data_ + count_++ * element_, data_ + index * element_, element_);
    }
  }
}

Tensor TensorBuilder::finish(const Shape& shape) {
  SLIP_CHECK(element_count(shape) == static_cast<std::int64_t>(count_));
  reserve(1);  // TensorFlow wants an address even for no elements
  TF_Tensor* raw =
      api_->NewTensor(static_cast<int>(type_), shape.data(), static_cast<int>(shape.size()), data_, count_ * element_,
                      type_ == DataType::String ? release_texts : release_plain, const_cast<TfApi*>(api_));
  SLIP_CHECK(raw != nullptr);
  data_ = nullptr;
  count_ = capacity_ = 0;
  return {*api_, raw};
}

void append_rows(const Tensor& from, std::int64_t begin, std::int64_t end, TensorBuilder& to) {
  const Shape shape = from.shape();
  const std::int64_t row = shape[0] == 0 ? 0 : from.count() / shape[0];
  if (from.type() == DataType::String) {
    for (std::int64_t i = begin * row; i < end * row; ++i) {
      to.push_text(from.text(i));
    }
    return;
  }
  const auto bytes = static_cast<std::size_t>(row) * size_of(from.type());
  to.append(from.as<unsigned char>() + static_cast<std::size_t>(begin) * bytes,
            static_cast<std::size_t>(end - begin) * bytes);
}

}  // namespace slip::serving
