#include "serving/tf/types.h"

namespace slip::serving {
namespace {

struct Row {
  DataType type;
  const char* name;
  const char* proto_name;
  std::size_t size;
};

constexpr Row kRows[] = {
    {DataType::Float, "float", "DT_FLOAT", 4},
    {DataType::Double, "double", "DT_DOUBLE", 8},
    {DataType::Int32, "int32", "DT_INT32", 4},
    {DataType::UInt8, "uint8", "DT_UINT8", 1},
    {DataType::Int16, "int16", "DT_INT16", 2},
    {DataType::Int8, "int8", "DT_INT8", 1},
    {DataType::String, "string", "DT_STRING", 0},
    {DataType::Complex64, "complex64", "DT_COMPLEX64", 8},
    {DataType::Int64, "int64", "DT_INT64", 8},
    {DataType::Bool, "bool", "DT_BOOL", 1},
    {DataType::BFloat16, "bfloat16", "DT_BFLOAT16", 2},
    {DataType::UInt16, "uint16", "DT_UINT16", 2},
    {DataType::Complex128, "complex128", "DT_COMPLEX128", 16},
    {DataType::Half, "half", "DT_HALF", 2},
    {DataType::Resource, "resource", "DT_RESOURCE", 0},
    {DataType::Variant, "variant", "DT_VARIANT", 0},
    {DataType::UInt32, "uint32", "DT_UINT32", 4},
    {DataType::UInt64, "uint64", "DT_UINT64", 8},
};

constexpr Row kUnknown{DataType::Invalid, "invalid", "DT_INVALID", 0};

const Row& row(DataType type) noexcept {
  for (const Row& r : kRows) {
    if (r.type == type) {
      return r;
    }
  }
  return kUnknown;
}

}  // namespace

const char* name_of(DataType type) noexcept { return row(type).name; }
const char* proto_name_of(DataType type) noexcept { return row(type).proto_name; }
std::size_t size_of(DataType type) noexcept { return row(type).size; }

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i == 0 ? "" : ",") + std::to_string(shape[i]);
  }
  return text + "]";
}

std::int64_t element_count(const Shape& shape) noexcept {
  std::int64_t count = 1;
  bool empty = false;
  for (const std::int64_t size : shape) {
    if (size < 0) {
      return -1;
    }
    if (size == 0) {
      empty = true;
    } else if (__builtin_mul_overflow(count, size, &count)) {
      return -1;
    }
  }
  return empty ? 0 : count;
}

}  // namespace slip::serving
