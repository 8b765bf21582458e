#include "serving/tf/model.h"

#include <algorithm>
#include <charconv>
#include <numeric>

#include "core/text.h"
#include "serving/proto/wire.h"

namespace slip::serving {
namespace {

/// Below this, starting another thread costs more than it can save.
constexpr std::uint32_t kCallerThreadUs = 500;

/// A status object of TensorFlow.
class TfStatus {
 public:
  explicit TfStatus(const TfApi& api) : api_(api), raw_(api.NewStatus()) {}
  TfStatus(const TfStatus&) = delete;
  TfStatus& operator=(const TfStatus&) = delete;
  ~TfStatus() { api_.DeleteStatus(raw_); }
  [[nodiscard]] TF_Status* raw() const noexcept { return raw_; }
  [[nodiscard]] bool ok() const noexcept { return api_.GetCode(raw_) == 0; }
  [[nodiscard]] tl::unexpected<Failure> failure() const {
    return fail(static_cast<Code>(api_.GetCode(raw_)), api_.Message(raw_));
  }

 private:
  const TfApi& api_;
  TF_Status* raw_;
};

/// @source tensorflow/core/protobuf/config.proto: ConfigProto intra_op_parallelism_threads = 2,
///         inter_op_parallelism_threads = 5, allow_soft_placement = 7
std::string session_config(const SessionSettings& settings) {
  WireWriter w;
  w.boolean(7, true);
  w.raw(settings.config.data(), settings.config.size());
  if (settings.intra_op_threads > 0) {
    w.varint(2, static_cast<std::uint64_t>(settings.intra_op_threads));
  }
  if (settings.inter_op_threads > 0) {
    w.varint(5, static_cast<std::uint64_t>(settings.inter_op_threads));
  }
  return w.take();
}

/// "name:3" as an operation and the index of its output.
std::pair<std::string, int> split_tensor_name(const std::string& name) {
  const auto colon = name.rfind(':');
  int index = 0;
  if (colon == std::string::npos) {
    return {name, index};
  }
  std::from_chars(name.data() + colon + 1, name.data() + name.size(), index);
  return {name.substr(0, colon), index};
}

}  // namespace

int Method::find(const std::vector<Port>& ports, std::string_view alias) noexcept {
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (ports[i].name == alias) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

Result<std::unique_ptr<Model>> Model::load(const TfApi& api, const std::filesystem::path& folder,
                                           const SessionSettings& settings) {
  std::unique_ptr<Model> model(new Model(api));
  TfStatus status(api);
  const std::unique_ptr<TF_SessionOptions, void (*)(TF_SessionOptions*)> options(api.NewSessionOptions(),
                                                                                 api.DeleteSessionOptions);
  const std::string config = session_config(settings);
  api.SetConfig(options.get(), config.data(), config.size(), status.raw());
  if (!status.ok()) {
    return status.failure();
  }
  std::vector<std::string> tags;
  for (const auto tag : split(settings.tags, ',')) {
    tags.emplace_back(trim(tag));
  }
  std::vector<const char*> tag_texts;
  for (const auto& tag : tags) {
    tag_texts.push_back(tag.c_str());
  }
  const std::unique_ptr<TF_Buffer, void (*)(TF_Buffer*)> meta(api.NewBuffer(), api.DeleteBuffer);
  model->graph_ = api.NewGraph();
  model->session_ =
      api.LoadSessionFromSavedModel(options.get(), nullptr, folder.c_str(), tag_texts.data(),
                                    static_cast<int>(tag_texts.size()), model->graph_, meta.get(), status.raw());
  if (!status.ok()) {
    return status.failure();
  }
  auto signatures = read_signatures({static_cast<const char*>(meta->data), meta->length});
  if (!signatures) {
    return tl::unexpected(signatures.error());
  }
  model->signatures_ = std::move(*signatures);
  if (auto resolved = model->resolve_all(); !resolved) {
    return tl::unexpected(resolved.error());
  }
  return model;
}

Model::~Model() {
  if (session_ != nullptr) {
    TfStatus status(api_);
    api_.CloseSession(session_, status.raw());
    api_.DeleteSession(session_, status.raw());
  }
  if (graph_ != nullptr) {
    api_.DeleteGraph(graph_);
  }
}

Result<void> Model::resolve(std::vector<Port>& ports, const std::map<std::string, TensorInfo>& infos) {
  for (const auto& [alias, info] : infos) {
    const auto [operation, index] = split_tensor_name(info.name);
    TF_Operation* found = api_.GraphOperationByName(graph_, operation.c_str());
    if (found == nullptr || index < 0 || index >= api_.OperationNumOutputs(found)) {
      return fail(Code::FailedPrecondition, "the signature names `" + info.name + "`, which the graph does not have");
    }
    ports.push_back({alias, info, {found, index}});
  }
  return {};
}

Result<void> Model::resolve_all() {
  for (const auto& [name, signature] : signatures_) {
    if (name == "__saved_model_init_op" || name == "__saved_model_train_op") {
      continue;  // operations without a value, run by TensorFlow's loader
    }
    Method method{name, signature.method, {}, {}};
    for (const bool input : {true, false}) {
      if (auto done = resolve(input ? method.inputs : method.outputs, input ? signature.inputs : signature.outputs);
          !done) {
        return done;
      }
    }
    methods_.push_back(std::move(method));
  }
  return {};
}

const Method* Model::method(std::string_view name) const noexcept {
  for (const Method& method : methods_) {
    if (method.name == (name.empty() ? kDefaultSignature : name)) {
      return &method;
    }
  }
  return nullptr;
}

/// @source tensorflow/core/protobuf/config.proto: RunOptions timeout_in_ms = 2, inter_op_thread_pool = 3; a pool of
///         -1 is the calling thread, where a time-out has no effect
std::string Model::run_options(Deadline deadline) const {
  WireWriter w;
  const std::uint32_t typical = typical_run_us();
  bool caller_thread = typical != 0 && typical < kCallerThreadUs;
  if (deadline != kNoDeadline) {
    const auto left = std::chrono::duration_cast<std::chrono::microseconds>(deadline - Clock::now()).count();
    if (left < 20 * static_cast<std::int64_t>(typical)) {
      caller_thread = false;
    }
    if (!caller_thread) {
      w.varint(2, static_cast<std::uint64_t>(std::max<std::int64_t>(1, left / 1000)));
    }
  }
  if (caller_thread) {
    w.varint(3, ~std::uint64_t{0});
  }
  return w.take();
}

void Model::note_run(Clock::duration took) const noexcept {
  const auto us = static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count(), 1, 1u << 30));
  const std::uint32_t old = typical_run_us();
  // The first run sets TensorFlow's kernels up and says nothing about the next ones: let it fade fast.
  typical_run_us_.store(old == 0 ? us : (old > 16 * us ? (old + 3 * us) / 4 : (7 * old + us + 7) / 8),
                        std::memory_order_relaxed);
}

Result<std::vector<Tensor>> Model::run(const Method& method, std::span<const Tensor* const> inputs,
                                       std::span<const std::size_t> outputs, Deadline deadline) const {
  if (deadline <= Clock::now()) {
    return fail(Code::DeadlineExceeded, "the deadline passed before the model ran");
  }
  std::vector<TF_Output> feeds;
  std::vector<TF_Tensor*> values;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    feeds.push_back(method.inputs[i].at);
    values.push_back(inputs[i]->raw());
  }
  std::vector<TF_Output> fetches;
  for (const std::size_t i : outputs) {
    fetches.push_back(method.outputs[i].at);
  }
  std::vector<TF_Tensor*> results(fetches.size(), nullptr);
  const std::string options = run_options(deadline);
  const TF_Buffer buffer{options.data(), options.size(), nullptr};
  TfStatus status(api_);
  const auto start = Clock::now();
  api_.SessionRun(session_, &buffer, feeds.data(), values.data(), static_cast<int>(feeds.size()), fetches.data(),
                  results.data(), static_cast<int>(fetches.size()), nullptr, 0, nullptr, status.raw());
  note_run(Clock::now() - start);
  std::vector<Tensor> tensors;
  for (TF_Tensor* raw : results) {
    tensors.emplace_back(api_, raw);
  }
  if (!status.ok()) {
    return status.failure();
  }
  return tensors;
}

Result<std::vector<Tensor>> Model::run(const Method& method, std::span<const Tensor* const> inputs,
                                       Deadline deadline) const {
  std::vector<std::size_t> all(method.outputs.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  return run(method, inputs, all, deadline);
}

}  // namespace slip::serving
