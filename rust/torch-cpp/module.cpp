// TorchScript modules for inference: loaded, frozen, optimized, run without autograd. A module here is shared by threads:
// `forward` does not change it.
#include "archive.h"
#include "error.h"
#include "forward.h"
#include "module.h"
#include "nodes.h"
#include "outputs.h"
#include "process.h"
#include "trap.h"

#include <c10/core/InferenceMode.h>
#include <torch/csrc/jit/frontend/tracer.h>
#include <torch/csrc/jit/passes/freeze_module.h>
#include <torch/csrc/jit/passes/frozen_graph_optimizations.h>
#include <torch/script.h>

#include <sstream>
#include <string>
#include <vector>

namespace {

using flambeau::flatten;
using flambeau::Module;
using flambeau::Outputs;

int64_t bytes_of(const torch::jit::Module& module) {
  int64_t total = 0;
  for (const auto& t : module.parameters()) total += static_cast<int64_t>(t.nbytes());
  for (const auto& t : module.buffers()) total += static_cast<int64_t>(t.nbytes());
  return total;
}

// Whether a GPU has fast kernels for channels last: cuDNN has none in f32, and none for depthwise convolutions.
bool likes_channels_last(const torch::jit::Module& module) {
  bool reduced = false;
  for (const auto& parameter : module.parameters()) {
    const bool depthwise = parameter.dim() == 4 && parameter.size(1) == 1 && parameter.size(0) > 1;
    if (depthwise) return false;
    reduced = reduced || (parameter.is_floating_point() && parameter.scalar_type() != at::kFloat);
  }
  return reduced;
}

// Puts convolution weights into the layout for channels-last inputs. Measured on EfficientNet-Lite0, one thread, images/s:
// frozen 42, with channels-last input 59; `optimize_for_inference` gives 44 and 45, since its oneDNN layout fits neither.
void to_channels_last(torch::jit::Module& module) {
  for (at::Tensor parameter : module.parameters()) {
    if (parameter.dim() == 4) parameter.set_data(parameter.contiguous(at::MemoryFormat::ChannelsLast));
  }
}

// `head` after `front`: the front's output `index` (`key`, if it returns a dict), flattened to rows, becomes the head's only
// input.
torch::jit::Module attach_head(const torch::jit::Module& front, const torch::jit::Module& head, int32_t index, const std::string& key) {
  const auto& schema = front.get_method("forward").function().getSchema();
  torch::jit::Module whole("__torch__.flambeau.FeaturizerAndHead");
  whole.register_attribute("training", c10::BoolType::get(), false);
  whole.register_module("featurizer", front);
  whole.register_module("head", head);
  std::ostringstream arguments;
  for (size_t i = 1; i < schema.arguments().size(); i++) arguments << (i > 1 ? ", " : "") << "x" << i;
  std::string chosen = "y";
  const auto& given = schema.returns().at(0).type();
  if (given->kind() == c10::TypeKind::DictType) {
    chosen = "y[\"" + key + "\"]";
  } else if (given->kind() != c10::TypeKind::TensorType) {
    chosen = "y[" + std::to_string(index) + "]";
  }
  std::ostringstream source;
  source << "def forward(self, " << arguments.str() << "):\n"
         << "    y = self.featurizer.forward(" << arguments.str() << ")\n"
         << "    return self.head.forward(torch.flatten(" << chosen << ", 1))\n";
  whole.define(source.str());
  return whole;
}

// Traced convolutions allow cuDNN to round f32 to 10 bits of mantissa: here f32 is f32.
void forbid_tf32(torch::jit::Graph& graph) {
  const auto is_traced = [](const torch::jit::Node* node) {
    return node->kind() == c10::aten::_convolution && node->inputs().size() == 13;
  };
  for (torch::jit::Node* node : flambeau::nodes_of(graph, is_traced)) {
    torch::jit::WithInsertPoint before(node);
    node->replaceInput(12, graph.insertConstant(false));
  }
}

// A program that was traced on a CPU names the CPU where it makes tensors, and holds some: all of that goes to `device`. Scalars may
// stay, since operators take them from anywhere.
void move_constants(torch::jit::Graph& graph, c10::Device device) {
  const auto is_constant = [](const torch::jit::Node* node) {
    return node->kind() == c10::prim::Constant && node->hasAttribute(c10::attr::value);
  };
  for (torch::jit::Node* node : flambeau::nodes_of(graph, is_constant)) {
    if (node->output()->type()->kind() == c10::TypeKind::DeviceObjType) {
      node->s_(c10::attr::value, device.str());
    } else if (node->kindOf(c10::attr::value) == torch::jit::AttributeKind::t && node->t(c10::attr::value).dim() > 0) {
      node->t_(c10::attr::value, node->t(c10::attr::value).to(device));
    }
  }
}

}  // namespace

extern "C" {

void flb_free_message(char* message) { free(message); }

// The program of `archive`, followed by that of `head` unless that is null. device_index < 0: CPU.
void* flb_module_load(
    const void* archive, const void* head, int32_t index, const char* key, int32_t device_index, FlbError* error) {
  return flambeau::guarded<void*>(error, nullptr, [&]() -> void* {
    torch::NoGradGuard guard;
    flambeau::require_address_space();
    const auto traps = flambeau::traps_so_far();
    auto device = device_index < 0 ? c10::Device(c10::kCPU) : c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(device_index));
    auto loaded = std::make_unique<Module>();
    auto script = torch::jit::load(static_cast<const flambeau::Archive*>(archive)->file, device, /*load_debug_files=*/false);
    script.eval();
    if (head != nullptr) {
      auto after = torch::jit::load(static_cast<const flambeau::Archive*>(head)->file, device, /*load_debug_files=*/false);
      after.eval();
      script = attach_head(script, after, index, key);
    }
    loaded->parameter_bytes = bytes_of(script);
    loaded->inputs = static_cast<int32_t>(script.get_method("forward").function().getSchema().arguments().size()) - 1;
    loaded->channels_last = device_index < 0 || likes_channels_last(script);
    if (loaded->channels_last) to_channels_last(script);
    // A module that was frozen when it was made has no `training` attribute left; freezing again is an error.
    if (script.hasattr("training")) script = torch::jit::freeze_module(script);
    auto graph = script.get_method("forward").graph();
    if (device_index >= 0) {
      move_constants(*graph, device);
      forbid_tf32(*graph);
    }
    torch::jit::OptimizeFrozenGraph(graph, /*optimize_numerics=*/true);
    flambeau::check_traps(traps);
    loaded->script = std::move(script);
    return loaded.release();
  });
}

void flb_module_free(void* module) { delete static_cast<Module*>(module); }

int64_t flb_module_parameter_bytes(const void* module) { return static_cast<const Module*>(module)->parameter_bytes; }

int32_t flb_module_inputs(const void* module) { return static_cast<const Module*>(module)->inputs; }

// Runs forward on `count` tensors (borrowed). Returns Outputs, to be freed with flb_outputs_free.
void* flb_module_forward(void* module, const at::Tensor* const* inputs, int32_t count, FlbError* error) {
  return flambeau::forward_pass(error, [&](Outputs& outputs) {
    std::vector<c10::IValue> stack;
    stack.reserve(static_cast<size_t>(count));
    for (int32_t i = 0; i < count; i++) stack.emplace_back(*inputs[i]);
    flatten(static_cast<Module*>(module)->script.get_method("forward")(std::move(stack)), outputs);
  });
}

int32_t flb_outputs_len(const void* outputs) { return static_cast<int32_t>(static_cast<const Outputs*>(outputs)->items.size()); }

// The name of output i, or null if the program did not return a dict. Valid while `outputs` lives.
const char* flb_outputs_name(const void* outputs, int32_t i) {
  const auto& name = static_cast<const Outputs*>(outputs)->items[static_cast<size_t>(i)].name;
  return name ? name->c_str() : nullptr;
}

// A new reference to output i as a heap tensor that the caller owns, made contiguous on the CPU; an undefined one stays undefined.
void* flb_outputs_tensor(const void* outputs, int32_t i, FlbError* error) {
  return flambeau::guarded<void*>(error, nullptr, [&]() -> void* {
    c10::InferenceMode guard;
    const auto& t = static_cast<const Outputs*>(outputs)->items[static_cast<size_t>(i)].tensor;
    return t.defined() ? new at::Tensor(t.to_dense().to(c10::kCPU).contiguous()) : new at::Tensor();
  });
}

void flb_outputs_free(void* outputs) { delete static_cast<Outputs*>(outputs); }

}  // extern "C"
