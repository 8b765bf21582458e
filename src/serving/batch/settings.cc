#include "serving/batch/settings.h"

#include <algorithm>

#include "serving/proto/text_format.h"

namespace slip::serving {
namespace {

/// `{ value: N }`, as wrappers of protobuf's are written.
template <class T, class Read>
Result<void> read_value(const TextReader& reader, const TextField& field, T& into, Read&& read) {
  const auto message = reader.message(field);
  if (!message) {
    return tl::unexpected(message.error());
  }
  const TextReader wrapper(**message, field.name);
  for (const TextField& value : wrapper.fields()) {
    if (value.name != "value") {
      return wrapper.unknown(value);
    }
    auto got = read(wrapper, value);
    if (!got) {
      return tl::unexpected(got.error());
    }
    into = std::move(*got);
  }
  return {};
}

Result<void> read_field(const TextReader& reader, const TextField& field, BatchSettings& settings) {
  const std::string& name = field.name;
  if (name == "allowed_batch_sizes") {
    return reader.number(field).map([&](std::int64_t size) { settings.allowed_batch_sizes.push_back(size); });
  }
  if (name == "thread_pool_name") {
    return read_value(reader, field, settings.thread_pool_name,
                      [](const TextReader& r, const TextField& f) { return r.text(f); });
  }
  if (name == "pad_variable_length_inputs" || name == "enable_large_batch_splitting") {
    bool& into = name == "pad_variable_length_inputs" ? settings.pad_variable_length_inputs
                                                      : settings.enable_large_batch_splitting;
    // The first is a plain boolean in the message and the second a wrapped one; files have both forms of both.
    if (!field.message) {
      return reader.boolean(field).map([&](bool on) { into = on; });
    }
    return read_value(reader, field, into, [](const TextReader& r, const TextField& f) { return r.boolean(f); });
  }
  std::int64_t* into = name == "max_batch_size"             ? &settings.max_batch_size
                       : name == "batch_timeout_micros"     ? &settings.batch_timeout_micros
                       : name == "max_enqueued_batches"     ? &settings.max_enqueued_batches
                       : name == "num_batch_threads"        ? &settings.num_batch_threads
                       : name == "max_execution_batch_size" ? &settings.max_execution_batch_size
                                                            : nullptr;
  if (into == nullptr) {
    return reader.unknown(field);
  }
  return read_value(reader, field, *into, [&](const TextReader& r, const TextField& f) -> Result<std::int64_t> {
    auto number = r.number(f);
    return number && *number < 0 ? Result<std::int64_t>(invalid(name + " is negative")) : number;
  });
}

}  // namespace

Result<BatchSettings> read_batch_settings(std::string_view text) {
  const auto root = read_text_format(text);
  if (!root) {
    return tl::unexpected(root.error());
  }
  BatchSettings settings;
  const TextReader reader(*root, "tensorflow.serving.BatchingParameters");
  for (const TextField& field : reader.fields()) {
    if (auto done = read_field(reader, field, settings); !done) {
      return tl::unexpected(done.error());
    }
  }
  const auto& sizes = settings.allowed_batch_sizes;
  if (settings.max_batch_size < 1 || settings.most_rows() > settings.max_batch_size) {
    return invalid("max_batch_size must be at least 1, and max_execution_batch_size at most max_batch_size");
  }
  if (!std::ranges::is_sorted(sizes) ||
      (!sizes.empty() && (sizes.front() < 1 || sizes.back() != settings.most_rows()))) {
    return invalid(std::string("allowed_batch_sizes must ascend and end with ") +
                   (settings.enable_large_batch_splitting ? "max_execution_batch_size" : "max_batch_size"));
  }
  return settings;
}

}  // namespace slip::serving
