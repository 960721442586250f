// TorchScript modules whose parameters change: loaded unfrozen or made from source, run with autograd, saved as programs for
// inference. A trainable module belongs to one thread at a time.
#include "archive.h"
#include "error.h"
#include "outputs.h"
#include "process.h"
#include "trap.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/script.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

namespace {

struct Named {
  std::string name;
  at::Tensor tensor;
};

struct Trainable {
  torch::jit::Module script;
  std::vector<Named> parameters;
  std::vector<Named> buffers;
  std::unordered_set<const void*> learnable;  // parameters that the file had not frozen
};

// Lists each tensor once, under its first name.
void list(Trainable& module) {
  std::unordered_set<const void*> seen;
  module.parameters.clear();
  module.buffers.clear();
  for (const auto& p : module.script.named_parameters()) {
    if (!seen.insert(p.value.unsafeGetTensorImpl()).second) continue;
    if (p.value.requires_grad()) module.learnable.insert(p.value.unsafeGetTensorImpl());
    module.parameters.push_back({p.name, p.value});
  }
  for (const auto& b : module.script.named_buffers()) {
    if (seen.insert(b.value.unsafeGetTensorImpl()).second) module.buffers.push_back({b.name, b.value});
  }
}

// Autocast to bf16 on the CPU while it lives.
class Autocast {
 public:
  explicit Autocast(bool on) : on_(on) {
    if (!on_) return;
    before_ = at::autocast::is_autocast_enabled(at::kCPU);
    dtype_ = at::autocast::get_autocast_dtype(at::kCPU);
    at::autocast::set_autocast_enabled(at::kCPU, true);
    at::autocast::set_autocast_dtype(at::kCPU, at::kBFloat16);
    at::autocast::increment_nesting();
  }
  ~Autocast() {
    if (!on_) return;
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_dtype(at::kCPU, dtype_);
    at::autocast::set_autocast_enabled(at::kCPU, before_);
  }

 private:
  bool on_;
  bool before_ = false;
  at::ScalarType dtype_ = at::kBFloat16;
};

// A copy with parameters in their own storage, in eval mode, for writing to files. Parameters that this training froze are not
// frozen for the next one.
torch::jit::Module standalone(const Trainable& module) {
  torch::NoGradGuard no_grad;
  auto copy = module.script.deepcopy();
  copy.eval();
  std::vector<bool> learnable;
  for (const at::Tensor& p : module.script.parameters()) learnable.push_back(module.learnable.count(p.unsafeGetTensorImpl()) > 0);
  size_t i = 0;
  for (at::Tensor p : copy.parameters()) {
    p.set_data(p.detach().clone(at::MemoryFormat::Contiguous));
    p.set_requires_grad(learnable[i++]);
  }
  return copy;
}

}  // namespace

extern "C" {

void* flb_trainable_load(const void* archive, FlbError* error) {
  return flambeau::guarded<void*>(error, nullptr, [&]() -> void* {
    flambeau::require_address_space();
    const auto traps = flambeau::traps_so_far();
    auto loaded = std::make_unique<Trainable>();
    loaded->script = torch::jit::load(static_cast<const flambeau::Archive*>(archive)->file, c10::kCPU, /*load_debug_files=*/false);
    flambeau::check_traps(traps);
    TORCH_CHECK(loaded->script.hasattr("training"), "the program is frozen: its parameters are constants; save it unfrozen");
    list(*loaded);
    return loaded.release();
  });
}

// A module with these parameters and this TorchScript source of its methods.
void* flb_trainable_define(
    const char* source, const char* const* names, const at::Tensor* const* parameters, int32_t count, FlbError* error) {
  return flambeau::guarded<void*>(error, nullptr, [&]() -> void* {
    auto made = std::make_unique<Trainable>();
    made->script = torch::jit::Module("__torch__.flambeau.Head");
    made->script.register_attribute("training", c10::BoolType::get(), true);
    for (int32_t i = 0; i < count; i++) made->script.register_parameter(names[i], *parameters[i], /*is_buffer=*/false);
    made->script.define(source);
    list(*made);
    return made.release();
  });
}

void flb_trainable_free(void* module) { delete static_cast<Trainable*>(module); }

int32_t flb_trainable_inputs(const void* module) {
  auto& script = static_cast<const Trainable*>(module)->script;
  return static_cast<int32_t>(script.get_method("forward").function().getSchema().arguments().size()) - 1;
}

// The module's own methods, one per line: the number of arguments besides self, and the name. `length` bytes, malloc'ed
// (flb_free_bytes).
uint8_t* flb_trainable_methods(const void* module, int64_t* length, FlbError* error) {
  return flambeau::guarded<uint8_t*>(error, nullptr, [&]() -> uint8_t* {
    std::string text;
    for (const auto& method : static_cast<const Trainable*>(module)->script.get_methods()) {
      text += std::to_string(method.function().getSchema().arguments().size() - 1) + " " + method.name() + "\n";
    }
    auto* bytes = static_cast<uint8_t*>(malloc(text.size() + 1));
    if (bytes == nullptr) throw std::bad_alloc();
    std::copy(text.begin(), text.end(), bytes);
    *length = static_cast<int64_t>(text.size());
    return bytes;
  });
}

// Parameters (buffers = false) or buffers.
int32_t flb_trainable_len(const void* module, bool buffers) {
  auto& m = *static_cast<const Trainable*>(module);
  return static_cast<int32_t>(buffers ? m.buffers.size() : m.parameters.size());
}

const char* flb_trainable_name(const void* module, bool buffers, int32_t i) {
  auto& m = *static_cast<const Trainable*>(module);
  return (buffers ? m.buffers : m.parameters)[static_cast<size_t>(i)].name.c_str();
}

// The tensor itself, not a copy, as a heap tensor that the caller owns.
void* flb_trainable_tensor(const void* module, bool buffers, int32_t i, FlbError* error) {
  return flambeau::guarded<void*>(error, nullptr, [&]() -> void* {
    auto& m = *static_cast<const Trainable*>(module);
    return new at::Tensor((buffers ? m.buffers : m.parameters)[static_cast<size_t>(i)].tensor);
  });
}

// Train or eval mode. Normalization layers whose own parameters are all frozen stay in eval mode: their statistics are frozen
// too.
void flb_trainable_set_training(void* module, bool on, FlbError* error) {
  flambeau::guarded<int>(error, 0, [&] {
    auto& script = static_cast<Trainable*>(module)->script;
    script.train(on);
    if (!on) return 0;
    for (auto m : script.modules()) {
      if (!m.hasattr("running_mean") || !m.hasattr("training")) continue;
      bool learns = false;
      for (const auto& p : m.parameters(/*recurse=*/false)) learns = learns || p.requires_grad();
      if (!learns) m.train(false);
    }
    return 0;
  });
}

// Puts the tensors into two flat vectors: `values` holds them one after another, and they become views of it; their gradients
// become views of `gradients`. Either may be longer. Dense strides (channels last) are kept.
void flb_flatten(const at::Tensor* const* tensors, int32_t count, const at::Tensor* values, const at::Tensor* gradients, FlbError* error) {
  flambeau::guarded<int>(error, 0, [&] {
    torch::NoGradGuard no_grad;
    int64_t offset = 0;
    for (int32_t i = 0; i < count; i++) {
      at::Tensor p = *tensors[i];
      TORCH_CHECK(p.scalar_type() == at::kFloat, "trainable parameters must be f32, not ", p.scalar_type());
      if (!p.is_non_overlapping_and_dense()) p.set_data(p.contiguous());
      const auto strides = p.strides().vec();
      auto view = values->narrow(0, offset, p.numel()).as_strided(p.sizes(), strides);
      view.copy_(p);
      p.set_data(view);
      p.mutable_grad() = gradients->narrow(0, offset, p.numel()).as_strided(p.sizes(), strides);
      offset += p.numel();
    }
    return 0;
  });
}

// Puts convolution weights into the layout for channels-last inputs.
void flb_trainable_channels_last(void* module, FlbError* error) {
  flambeau::guarded<int>(error, 0, [&] {
    torch::NoGradGuard no_grad;
    for (auto& p : static_cast<Trainable*>(module)->parameters) {
      if (p.tensor.dim() == 4) p.tensor.set_data(p.tensor.contiguous(at::MemoryFormat::ChannelsLast));
    }
    return 0;
  });
}

// Runs a method on `count` tensors (borrowed); with `autograd`, its results can be differentiated. Returns Outputs.
void* flb_trainable_run(
    void* module, const char* method, const at::Tensor* const* inputs, int32_t count, bool autograd, bool bf16, FlbError* error) {
  return flambeau::guarded<void*>(error, nullptr, [&]() -> void* {
    flambeau::apply_threads();
    const auto traps = flambeau::traps_so_far();
    at::AutoGradMode grad(autograd);
    Autocast autocast(bf16);
    // Eager operators one by one: the graph executor would specialize again for each batch shape.
    torch::jit::GraphOptimizerEnabledGuard no_optimizer(false);
    std::vector<c10::IValue> stack;
    stack.reserve(static_cast<size_t>(count));
    for (int32_t i = 0; i < count; i++) stack.emplace_back(*inputs[i]);
    auto outputs = std::make_unique<flambeau::Outputs>();
    flambeau::flatten(static_cast<Trainable*>(module)->script.get_method(method)(std::move(stack)), *outputs);
    flambeau::check_traps(traps);
    return outputs.release();
  });
}

// Output i itself, with its history.
void* flb_outputs_attached(const void* outputs, int32_t i, FlbError* error) {
  return flambeau::guarded<void*>(error, nullptr, [&]() -> void* {
    return new at::Tensor(static_cast<const flambeau::Outputs*>(outputs)->items[static_cast<size_t>(i)].tensor);
  });
}

// A seeded generator of PyTorch's random numbers; other threads do not draw from it.
void* flb_generator_new(uint64_t seed, FlbError* error) {
  return flambeau::guarded<void*>(error, nullptr, [&]() -> void* { return new at::Generator(at::detail::createCPUGenerator(seed)); });
}

void flb_generator_free(void* generator) { delete static_cast<at::Generator*>(generator); }

// Fills the tensor with numbers between -bound and bound.
void flb_generator_uniform(void* generator, const at::Tensor* tensor, double bound, FlbError* error) {
  flambeau::guarded<int>(error, 0, [&] {
    torch::NoGradGuard no_grad;
    tensor->uniform_(-bound, bound, *static_cast<at::Generator*>(generator));
    return 0;
  });
}

void flb_trainable_save(const void* module, const char* path, FlbError* error) {
  flambeau::guarded<int>(error, 0, [&] {
    standalone(*static_cast<const Trainable*>(module)).save(path);
    return 0;
  });
}

}  // extern "C"
