#include "serving/tfs/warmup.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/error.h"
#include "os/file.h"
#include "serving/tfs/predict_proto.h"

namespace slip::serving {
namespace {

using Type = WireReader::Type;

constexpr std::size_t kMostRecords = 1000;
constexpr std::size_t kTensorBytes = 1u << 30;

/// CRC-32C, masked as TFRecord files store it.
std::uint32_t masked_crc(std::string_view bytes) {
  static constexpr auto kTable = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      std::uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) {
        value = (value & 1) != 0 ? value >> 1 ^ 0x82f63b78u : value >> 1;
      }
      table[i] = value;
    }
    return table;
  }();
  std::uint32_t crc = ~0u;
  for (const char c : bytes) {
    crc = kTable[(crc ^ static_cast<unsigned char>(c)) & 0xff] ^ crc >> 8;
  }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

template <class T>
T read_as(std::string_view bytes) {
  T value{};
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

/// Field 1, the request, of a PredictLog and its like.
std::string_view request_of(std::string_view log) {
  std::string_view request;
  WireReader r(log);
  while (r.next()) {
    if (r.is(1, Type::Bytes)) {
      request = r.bytes();
    }
  }
  return request;
}

Result<void> run(const Model& model, const Method& method, const std::vector<Tensor>& tensors) {
  std::vector<const Tensor*> inputs;
  for (const Tensor& tensor : tensors) {
    inputs.push_back(&tensor);
  }
  return model.run(method, inputs).map([](const auto&) {});
}

Result<void> warm_predict(const Model& model, std::string_view request) {
  const auto message = read_predict_message(request);
  if (!message) {
    return tl::unexpected(message.error());
  }
  const auto plan = plan_predict(model, *message, kTensorBytes);
  return plan ? run(model, *plan->method, plan->inputs) : Result<void>(tl::unexpected(plan.error()));
}

Result<void> warm_examples(const Model& model, std::string_view signature, std::string_view kind,
                           const std::vector<std::string>& examples) {
  const auto method = example_method(model, signature, kind);
  if (!method) {
    return tl::unexpected(method.error());
  }
  std::vector<Tensor> inputs;
  inputs.push_back(example_tensor(model.api(), examples));
  return run(model, **method, inputs);
}

Result<void> warm_one(const Model& model, std::string_view record) {
  WireReader r(record);
  while (r.next()) {
    if (r.type() != Type::Bytes || r.field() == 1) {
      continue;
    }
    const std::string_view request = request_of(r.bytes());
    if (r.field() == 6) {
      return warm_predict(model, request);
    }
    if (r.field() == 2 || r.field() == 3) {
      const auto message = read_example_message(request);
      return message ? warm_examples(model, message->model.signature, r.field() == 2 ? kClassifyMethod : kRegressMethod,
                                     message->examples)
                     : Result<void>(tl::unexpected(message.error()));
    }
    return fail(Code::Unimplemented, "Unsupported log_type for warmup: field " + std::to_string(r.field()));
  }
  return r.ok() ? Result<void>(invalid("a warm-up record holds no request"))
                : Result<void>(fail(Code::DataLoss, "Failed to parse warmup record"));
}

}  // namespace

Result<std::vector<std::string_view>> read_tf_records(std::string_view bytes) {
  std::vector<std::string_view> records;
  while (!bytes.empty()) {
    // u64 length, its checksum, the data, its checksum; little-endian
    constexpr std::size_t kHead = 12;
    constexpr std::size_t kFoot = 4;
    const bool head =
        bytes.size() >= kHead && masked_crc(bytes.substr(0, 8)) == read_as<std::uint32_t>(bytes.substr(8));
    const std::uint64_t length = head ? read_as<std::uint64_t>(bytes) : 0;
    if (!head || bytes.size() - kHead < kFoot || length > bytes.size() - kHead - kFoot ||
        masked_crc(bytes.substr(kHead, length)) != read_as<std::uint32_t>(bytes.substr(kHead + length))) {
      return fail(Code::DataLoss, "Please verify your warmup data is in TFRecord format.");
    }
    records.push_back(bytes.substr(kHead, length));
    bytes.remove_prefix(kHead + length + kFoot);
  }
  return records;
}

Result<std::size_t> warm_up(const Servable& servable, const std::filesystem::path& folder,
                            std::int64_t iterations) try {
  const auto text = os::read_file_if_any(folder / "assets.extra/tf_serving_warmup_requests");
  if (!text) {
    return std::size_t{0};
  }
  const auto records = read_tf_records(*text);
  if (!records) {
    return tl::unexpected(records.error());
  }
  if (records->size() > kMostRecords) {
    return invalid("Number of warmup records exceeds the maximum (1000)");
  }
  for (const std::string_view record : *records) {
    for (std::int64_t i = 0; i < std::max<std::int64_t>(1, iterations); ++i) {
      if (auto done = warm_one(*servable.model, record); !done) {
        return fail(done.error().code, "warm-up: " + done.error().message);
      }
    }
  }
  return records->size();
} catch (const Error& error) {
  return fail(Code::Unknown, "warm-up: " + error.joined());
}

}  // namespace slip::serving
