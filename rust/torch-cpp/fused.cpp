// TorchScript with the kernels of oneDNN: products with packed weights (pack.h) for any shape, and plans for a few fixed shapes.
// In plans, oneDNN's Graph compiler fuses convolutions with the operators around them. Outputs that are computed from other outputs
// are computed only if they are wanted (tails.h).
//
// A plan is a graph executor of its own over a copy of the graph; constants are shared. It is run three times when it is made
// (libtorch profiles the first run, compiles in the second), by one thread, so that no task sees an unfinished plan. Inputs of
// other shapes use the plan for any shape. Plans are added under a lock and read by every task.
#include "attention.h"
#include "error.h"
#include "forward.h"
#include "module.h"
#include "nodes.h"
#include "outputs.h"
#include "pack.h"
#include "pads.h"
#include "process.h"
#include "tails.h"
#include "trap.h"

#include <c10/core/InferenceMode.h>
#include <torch/csrc/jit/codegen/onednn/interface.h>
#include <torch/csrc/jit/passes/inliner.h>
#include <torch/csrc/jit/passes/pass_manager.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <vector>

namespace {

using Shape = std::vector<int64_t>;
using Executor = std::shared_ptr<torch::jit::GraphExecutor>;

// libtorch's passes are global: ours checks whether the thread is optimizing a graph for a plan.
thread_local bool making_plan = false;

void fuse(std::shared_ptr<torch::jit::Graph>& graph) {
  if (making_plan) torch::jit::fuser::onednn::fuseGraph(graph);
}

struct MakingPlan {
  MakingPlan() {
    static const auto registered = torch::jit::registerPrePass(fuse);
    (void)registered;
    making_plan = true;
  }
  ~MakingPlan() { making_plan = false; }
};

struct Fused {
  c10::IValue self;  // the program's first argument, if it is still used
  bool takes_self = false;
  std::shared_ptr<torch::jit::Graph> graph;  // without the tails
  std::vector<flambeau::Tail> tails;         // by their outputs, first to last
  Executor any;
  std::map<Shape, Executor> plans;
  std::shared_mutex lock;
  int32_t packed = 0;
  bool convolves = false;
};

// Sizes and strides of all inputs: a plan is for both.
Shape shape_of(const at::Tensor* const* inputs, int32_t count) {
  Shape shape;
  for (int32_t i = 0; i < count; i++) {
    shape.push_back(inputs[i]->dim());
    for (const auto n : inputs[i]->sizes()) shape.push_back(n);
    for (const auto n : inputs[i]->strides()) shape.push_back(n);
  }
  return shape;
}

torch::jit::Stack stack_of(const Fused& fused, const at::Tensor* const* inputs, int32_t count) {
  torch::jit::Stack stack;
  if (fused.takes_self) stack.push_back(fused.self);
  for (int32_t i = 0; i < count; i++) stack.emplace_back(*inputs[i]);
  return stack;
}

Executor executor_of(Fused& fused, const Shape& shape) {
  const std::shared_lock<std::shared_mutex> reading(fused.lock);
  const auto found = fused.plans.find(shape);
  return found == fused.plans.end() ? fused.any : found->second;
}

bool is_wanted(uint64_t wanted, size_t output) { return output >= 64 || (wanted >> output & 1) != 0; }

// Puts the tails between the outputs of the graph; those that are not wanted as undefined tensors.
void add_tails(const Fused& fused, uint64_t wanted, flambeau::Outputs& outputs) {
  for (const auto& tail : fused.tails) {
    const auto at = outputs.items.begin() + static_cast<std::ptrdiff_t>(tail.output);
    outputs.items.insert(at, flambeau::Output{});
  }
  for (const auto& tail : fused.tails) {
    if (!is_wanted(wanted, tail.output)) continue;
    torch::jit::Stack stack;
    for (const size_t read : tail.reads) stack.emplace_back(outputs.items.at(read).tensor);
    tail.program->run(stack);
    outputs.items.at(tail.output).tensor = stack.at(0).toTensor();
  }
}

}  // namespace

extern "C" {

// From a loaded module, which the caller still owns. Constants are shared with it, except for packed weights: those of the module
// can be freed.
void* flb_fused_new(const void* module, FlbError* error) {
  return flambeau::guarded<void*>(error, nullptr, [&]() -> void* {
    c10::InferenceMode guard;
    auto fused = std::make_unique<Fused>();
    const auto& script = static_cast<const flambeau::Module*>(module)->script;
    fused->graph = script.get_method("forward").graph()->copy();
    torch::jit::Inline(*fused->graph);
    fused->takes_self = fused->graph->inputs().at(0)->hasUses();
    if (fused->takes_self) {
      fused->self = script._ivalue();
    } else {
      fused->graph->eraseInput(0);
    }
    fused->convolves = !flambeau::nodes_of(*fused->graph, flambeau::is_convolution).empty();
    flambeau::fold_pads(fused->graph);
    flambeau::widen_attention(fused->graph);
    fused->packed = flambeau::pack_products(fused->graph);
    fused->tails = flambeau::cut_tails(fused->graph);
    fused->any = std::make_shared<torch::jit::GraphExecutor>(fused->graph->copy(), "forward");
    return fused.release();
  });
}

void flb_fused_free(void* fused) { delete static_cast<Fused*>(fused); }

// Whether a plan for a fixed shape makes the program faster.
bool flb_fused_convolves(const void* fused) { return static_cast<const Fused*>(fused)->convolves; }

int32_t flb_fused_packed(const void* fused) { return static_cast<const Fused*>(fused)->packed; }

// Makes the plan for inputs of these sizes and strides, if there is none yet.
void flb_fused_plan(void* handle, const at::Tensor* const* inputs, int32_t count, FlbError* error) {
  flambeau::guarded<bool>(error, false, [&]() -> bool {
    auto& fused = *static_cast<Fused*>(handle);
    c10::InferenceMode guard;
    flambeau::apply_threads();
    const auto traps = flambeau::traps_so_far();
    const Shape shape = shape_of(inputs, count);
    if (executor_of(fused, shape) != fused.any) return true;
    auto plan = std::make_shared<torch::jit::GraphExecutor>(fused.graph->copy(), "forward");
    {
      const MakingPlan making;
      for (int run = 0; run < 3; run++) {
        auto stack = stack_of(fused, inputs, count);
        plan->run(stack);
      }
    }
    flambeau::check_traps(traps);
    const std::unique_lock<std::shared_mutex> writing(fused.lock);
    fused.plans.emplace(shape, std::move(plan));
    return true;
  });
}

// Runs forward on `count` tensors (borrowed). Returns Outputs, to be freed with flb_outputs_free. An output whose bit is not set in
// `wanted` may be undefined.
void* flb_fused_forward(void* handle, const at::Tensor* const* inputs, int32_t count, uint64_t wanted, FlbError* error) {
  return flambeau::forward_pass(error, [&](flambeau::Outputs& outputs) {
    auto& fused = *static_cast<Fused*>(handle);
    auto stack = stack_of(fused, inputs, count);
    executor_of(fused, shape_of(inputs, count))->run(stack);
    flambeau::flatten(stack.at(0), outputs);
    add_tails(fused, wanted, outputs);
  });
}

}  // extern "C"
