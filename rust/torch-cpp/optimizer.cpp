// torch::optim over one flat parameter: every optimizer here works element by element, so one long vector gives the same numbers
// as many tensors, with a few operators instead of a few per tensor. Adam and AdamW keep their state in torch::optim's classes
// and step with PyTorch's fused kernel: 5 us for 5,000 values where the operators take 25.
#include "error.h"
#include "process.h"

#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/zeros_like.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/rmsprop.h>
#include <torch/optim/sgd.h>
#include <torch/serialize.h>

#include <memory>
#include <sstream>
#include <type_traits>

namespace {

struct Optimizer {
  at::Tensor values;
  std::unique_ptr<torch::optim::Optimizer> torch;
  int32_t kind = 0;
};

// A step of Adam (`State`: torch::optim::AdamParamState) or AdamW.
template <typename State, typename Options>
void fused(Optimizer& optimizer, double lr) {
  torch::NoGradGuard no_grad;
  const auto& options = static_cast<const Options&>(optimizer.torch->defaults());
  auto& kept = optimizer.torch->state()[optimizer.values.unsafeGetTensorImpl()];
  if (kept == nullptr) {
    auto fresh = std::make_unique<State>();
    fresh->step(0);
    fresh->exp_avg(at::zeros_like(optimizer.values));
    fresh->exp_avg_sq(at::zeros_like(optimizer.values));
    kept = std::move(fresh);
  }
  auto& state = static_cast<State&>(*kept);
  state.step(state.step() + 1);
  const auto [beta1, beta2] = options.betas();
  std::vector<at::Tensor> values{optimizer.values}, gradients{optimizer.values.grad()}, means{state.exp_avg()}, squares{state.exp_avg_sq()};
  std::vector<at::Tensor> steps{at::scalar_tensor(static_cast<double>(state.step()), at::kFloat)};
  const double decay = options.weight_decay(), eps = options.eps();
  if constexpr (std::is_same_v<Options, torch::optim::AdamOptions>) {
    at::_fused_adam_(values, gradients, means, squares, {}, steps, lr, beta1, beta2, decay, eps, false, false);
  } else {
    at::_fused_adamw_(values, gradients, means, squares, {}, steps, lr, beta1, beta2, decay, eps, false, false);
  }
}

}  // namespace

extern "C" {

// The settings of all optimizers; each reads those that it has.
struct FlbOptimizerOptions {
  int32_t kind;  // 0 SGD, 1 Adam, 2 AdamW, 3 RMSprop
  double lr;
  double momentum;
  bool nesterov;
  double beta1;
  double beta2;
  double eps;
  double alpha;
  double weight_decay;
};

// `values` and `gradients` (1-d, equally long) are shared with the optimizer, which changes `values` in place.
void* flb_optimizer_new(const FlbOptimizerOptions* o, const at::Tensor* values, const at::Tensor* gradients, FlbError* error) {
  return flambeau::guarded<void*>(error, nullptr, [&]() -> void* {
    auto made = std::make_unique<Optimizer>();
    made->values = values->detach().requires_grad_(true);
    made->values.mutable_grad() = *gradients;
    made->kind = o->kind;
    std::vector<at::Tensor> all{made->values};
    switch (o->kind) {
      case 0:
        made->torch = std::make_unique<torch::optim::SGD>(
            all, torch::optim::SGDOptions(o->lr).momentum(o->momentum).nesterov(o->nesterov).weight_decay(o->weight_decay));
        break;
      case 1:
        made->torch = std::make_unique<torch::optim::Adam>(
            all, torch::optim::AdamOptions(o->lr).betas({o->beta1, o->beta2}).eps(o->eps).weight_decay(o->weight_decay));
        break;
      case 2:
        made->torch = std::make_unique<torch::optim::AdamW>(
            all, torch::optim::AdamWOptions(o->lr).betas({o->beta1, o->beta2}).eps(o->eps).weight_decay(o->weight_decay));
        break;
      case 3:
        made->torch = std::make_unique<torch::optim::RMSprop>(
            all,
            torch::optim::RMSpropOptions(o->lr).alpha(o->alpha).eps(o->eps).weight_decay(o->weight_decay).momentum(o->momentum));
        break;
      default:
        TORCH_CHECK(false, "no optimizer of kind ", o->kind);
    }
    return made.release();
  });
}

void flb_optimizer_free(void* optimizer) { delete static_cast<Optimizer*>(optimizer); }

void flb_optimizer_step(void* optimizer, double lr, FlbError* error) {
  flambeau::guarded<int>(error, 0, [&] {
    using torch::optim::AdamOptions;
    using torch::optim::AdamParamState;
    using torch::optim::AdamWOptions;
    using torch::optim::AdamWParamState;
    auto& own = *static_cast<Optimizer*>(optimizer);
    for (auto& group : own.torch->param_groups()) group.options().set_lr(lr);
    if (own.kind == 1) {
      fused<AdamParamState, AdamOptions>(own, lr);
    } else if (own.kind == 2) {
      fused<AdamWParamState, AdamWOptions>(own, lr);
    } else {
      own.torch->step();
    }
    return 0;
  });
}

// The optimizer's state as a malloc'ed archive of torch::save, to be freed with flb_free_bytes.
uint8_t* flb_optimizer_save(const void* optimizer, int64_t* length, FlbError* error) {
  return flambeau::guarded<uint8_t*>(error, nullptr, [&] {
    torch::serialize::OutputArchive archive;
    static_cast<const Optimizer*>(optimizer)->torch->save(archive);
    std::ostringstream stream;
    archive.save_to(stream);
    const std::string text = std::move(stream).str();
    auto* bytes = static_cast<uint8_t*>(malloc(std::max<size_t>(text.size(), 1)));
    if (bytes == nullptr) throw std::bad_alloc();
    std::memcpy(bytes, text.data(), text.size());
    *length = static_cast<int64_t>(text.size());
    return bytes;
  });
}

void flb_free_bytes(uint8_t* bytes) { free(bytes); }

// The reverse, into an optimizer of the same kind with the same number of values.
void flb_optimizer_load(void* optimizer, const uint8_t* bytes, int64_t length, FlbError* error) {
  flambeau::guarded<int>(error, 0, [&] {
    torch::serialize::InputArchive archive;
    archive.load_from(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
    static_cast<Optimizer*>(optimizer)->torch->load(archive);
    return 0;
  });
}

}  // extern "C"
