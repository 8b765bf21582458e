// Protocol buffers messages: none may crash or ask for memory beyond its limits, and a tensor that was read comes back
// the same through what we write. The first byte chooses the message.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "serving/oip/proto.h"
#include "serving/tf/fake_api.h"
#include "serving/tf/signature.h"
#include "serving/tfs/grpc_service.h"
#include "serving/tfs/predict_proto.h"

namespace {

using namespace slip::serving;
const TfApi& api() { return test::fake_tensorflow(); }
constexpr std::size_t kLimit = 1 << 20;

bool same(const Tensor& a, const Tensor& b) {
  if (a.type() != b.type() || a.shape() != b.shape()) {
    return false;
  }
  if (a.type() != DataType::String) {
    return a.byte_size() == b.byte_size() && std::memcmp(a.data(), b.data(), a.byte_size()) == 0;
  }
  for (std::int64_t i = 0; i < a.count(); ++i) {
    if (a.text(i) != b.text(i)) {
      return false;
    }
  }
  return true;
}

void check_tensor(std::string_view bytes) {
  const auto tensor = read_tensor_proto(api(), bytes, kLimit);
  if (!tensor) {
    return;
  }
  for (const TensorForm form : {TensorForm::Typed, TensorForm::Content}) {
    WireWriter out;
    if (!write_tensor_proto(out, 1, *tensor, form)) {
      std::abort();
    }
    WireReader r(out.str());
    const bool any = r.next();
    const auto again = any ? read_tensor_proto(api(), r.bytes(), kLimit) : read_tensor_proto(api(), {}, kLimit);
    if (!again || !same(*tensor, *again)) {
      std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) {
    return 0;
  }
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 6) {
    case 0: check_tensor(bytes); break;
    case 1:
      if (const auto message = read_predict_message(bytes)) {
        for (const auto& [alias, tensor] : message->inputs) {
          check_tensor(tensor);
        }
      }
      break;
    case 2: (void)read_example_message(bytes); break;
    case 3: (void)read_oip_message(api(), bytes); break;
    case 4: (void)read_reload_message(bytes); break;
    default: {
      const auto signatures = read_signatures(bytes);
      for (const auto& [name, signature] : signatures ? *signatures : Signatures{}) {
        WireWriter entry;
        entry.bytes(1, name);
        entry.bytes(2, to_wire(signature));
        WireWriter meta;
        meta.message(5, entry);
        const auto again = read_signatures(meta.str());
        if (!again || to_wire(again->at(name)) != to_wire(signature)) {
          std::abort();
        }
      }
    }
  }
  return 0;
}
