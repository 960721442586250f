// Products by constant weights, made ready for oneDNN.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <memory>

namespace flambeau {

// Lays the constant weights of `aten::linear` out as oneDNN's kernels read them, once instead of in every pass, with a `gelu`
// or `relu` behind the product done in the same kernel. Any number of rows fits. Returns how many products were packed.
int32_t pack_products(const std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace flambeau
