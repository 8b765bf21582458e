#include "serving/batch/rows.h"

#include <algorithm>
#include <utility>

namespace slip::serving {
namespace {

/// The sizes that hold every part: the largest of each dimension but the first.
Shape common_shape(const std::vector<const Tensor*>& parts) {
  Shape shape = parts[0]->shape();
  for (const Tensor* part : parts) {
    const Shape other = part->shape();
    for (std::size_t i = 1; i < shape.size(); ++i) {
      shape[i] = std::max(shape[i], other[i]);
    }
  }
  return shape;
}

/// Appends all of a tensor, every inner dimension filled up to the size of `shape`.
class PaddedCopy {
 public:
  PaddedCopy(const Tensor& from, const Shape& shape, TensorBuilder& to)
      : from_(from), have_(from.shape()), want_(shape), to_(to), unit_(size_of(from.type())) {}
  void copy() {
    for (std::int64_t row = 0; row < have_[0]; ++row) {
      block(1);
    }
  }

 private:
  void block(std::size_t dimension) {
    if (dimension == want_.size()) {
      element(next_++);
      return;
    }
    for (std::int64_t i = 0; i < have_[dimension]; ++i) {
      block(dimension + 1);
    }
    std::int64_t missing = want_[dimension] - have_[dimension];
    for (std::size_t i = dimension + 1; i < want_.size(); ++i) {
      missing *= want_[i];
    }
    for (; missing > 0; --missing) {
      element(0);
    }
  }
  void element(std::int64_t index) {
    static constexpr unsigned char kZeros[16] = {};
    const bool there = index < from_.count();
    if (from_.type() == DataType::String) {
      to_.push_text(there ? from_.text(index) : std::string_view{});
    } else {
      to_.append(there ? from_.as<unsigned char>() + static_cast<std::size_t>(index) * unit_ : kZeros, unit_);
    }
  }

  const Tensor& from_;
  const Shape have_;
  const Shape& want_;
  TensorBuilder& to_;
  std::size_t unit_;
  std::int64_t next_ = 0;
};

}  // namespace

Result<std::int64_t> common_rows(const RunCall& call) {
  std::int64_t rows = -1;
  for (const Tensor& tensor : call.inputs) {
    const Shape shape = tensor.shape();
    if (shape.empty()) {
      return invalid("Batching Run() input tensors must have at least one dimension");
    }
    if (rows >= 0 && shape[0] != rows) {
      return invalid("Batching Run() input tensors must have equal 0th-dimension size");
    }
    rows = shape[0];
  }
  return rows;
}

Tensor join_rows(const TfApi& api, const std::vector<const Tensor*>& parts, std::int64_t rows) {
  TensorBuilder builder(api, parts[0]->type());
  Shape shape = common_shape(parts);
  std::size_t row = 1;  // elements of one
  for (std::size_t i = 1; i < shape.size(); ++i) {
    row *= static_cast<std::size_t>(shape[i]);
  }
  builder.reserve(static_cast<std::size_t>(rows) * row);
  std::int64_t have = 0;
  for (const Tensor* part : parts) {
    Shape own = part->shape();
    const std::int64_t more = std::exchange(own[0], shape[0]);
    if (own == shape) {
      append_rows(*part, 0, more, builder);
    } else {
      PaddedCopy(*part, shape, builder).copy();
    }
    have += more;
  }
  for (std::size_t i = 0; i < row * static_cast<std::size_t>(rows - have); ++i) {
    builder.repeat(builder.count() - row, 1);  // a row that the model accepts for certain
  }
  shape[0] = rows;
  return builder.finish(shape);
}

std::vector<Tensor> cut_rows(const TfApi& api, const std::vector<Tensor>& from, std::int64_t begin, std::int64_t end) {
  std::vector<Tensor> parts;
  for (const Tensor& tensor : from) {
    TensorBuilder builder(api, tensor.type());
    append_rows(tensor, begin, end, builder);
    Shape shape = tensor.shape();
    shape[0] = end - begin;
    parts.push_back(builder.finish(shape));
  }
  return parts;
}

}  // namespace slip::serving
