#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "serving/tf/api.h"
#include "serving/tf/types.h"

namespace slip::serving {

/// One tensor in TensorFlow's memory, with one owner. Row-major.
class Tensor {
 public:
  Tensor() = default;
  /// Takes `raw`, which `api` made. @param api must outlive the tensor
  Tensor(const TfApi& api, TF_Tensor* raw) noexcept : api_(&api), raw_(raw) {}
  Tensor(Tensor&& other) noexcept : api_(other.api_), raw_(std::exchange(other.raw_, nullptr)) {}
  Tensor& operator=(Tensor&& other) noexcept;
  Tensor(const Tensor&) = delete;
  Tensor& operator=(const Tensor&) = delete;
  ~Tensor();

  [[nodiscard]] bool empty() const noexcept { return raw_ == nullptr; }
  [[nodiscard]] TF_Tensor* raw() const noexcept { return raw_; }
  [[nodiscard]] DataType type() const noexcept { return static_cast<DataType>(api_->TensorType(raw_)); }
  [[nodiscard]] Shape shape() const;
  /// Elements in all.
  [[nodiscard]] std::int64_t count() const noexcept;
  [[nodiscard]] std::size_t byte_size() const noexcept { return api_->TensorByteSize(raw_); }
  [[nodiscard]] const void* data() const noexcept { return api_->TensorData(raw_); }
  template <class T>
  [[nodiscard]] const T* as() const noexcept {
    return static_cast<const T*>(data());
  }
  /// Element `i` of a string tensor; valid as long as the tensor.
  [[nodiscard]] std::string_view text(std::int64_t i) const noexcept;

 private:
  const TfApi* api_ = nullptr;
  TF_Tensor* raw_ = nullptr;
};

/// Collects elements in memory that TensorFlow then takes over without a copy: it shares buffers that are aligned to
/// 64 bytes and copies all others.
class TensorBuilder {
 public:
  TensorBuilder(const TfApi& api, DataType type) noexcept;
  TensorBuilder(TensorBuilder&& other) noexcept;
  TensorBuilder(const TensorBuilder&) = delete;
  TensorBuilder& operator=(const TensorBuilder&) = delete;
  TensorBuilder& operator=(TensorBuilder&&) = delete;
  ~TensorBuilder();

  [[nodiscard]] DataType type() const noexcept { return type_; }
  [[nodiscard]] std::size_t count() const noexcept { return count_; }
  /// Room for `count` elements in all. Untouched room costs address space, not memory, once it is large.
  void reserve(std::size_t count);
  template <class T>
  void push(T value) {
    if (count_ == capacity_) {
      grow();
    }
    std::memcpy(data_ + count_++ * sizeof(T), &value, sizeof(T));
  }
  /// Where further elements may be written, which took() then counts. Never empty.
  template <class T>
  [[nodiscard]] std::span<T> room() {
    if (count_ == capacity_) {
      grow();
    }
    return {reinterpret_cast<T*>(data_) + count_, capacity_ - count_};
  }
  void took(std::size_t count) noexcept { count_ += count; }
  void push_text(std::string_view text);
  /// Appends whole elements of plain data.
  void append(const void* data, std::size_t bytes);
  /// Appends `times` copies of element `index`.
  void repeat(std::size_t index, std::size_t times);
  /// The tensor of all elements; the builder is empty afterwards.
  /// @param shape its element_count() is count()
  Tensor finish(const Shape& shape);

 private:
  void grow();
  void release() noexcept;

  const TfApi* api_;
  DataType type_;
  std::size_t element_;  ///< bytes of one element
  unsigned char* data_ = nullptr;
  std::size_t count_ = 0;
  std::size_t capacity_ = 0;  ///< elements
};

/// Rows [begin, end) of dimension 0 appended to `to`. @pre rank >= 1, to.type() == from.type()
void append_rows(const Tensor& from, std::int64_t begin, std::int64_t end, TensorBuilder& to);

}  // namespace slip::serving
