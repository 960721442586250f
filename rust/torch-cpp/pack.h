// Products by constant weights, prepared for oneDNN.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <memory>

namespace flambeau {

// Puts the constant weights of `aten::linear` into the layout of oneDNN's kernels, once instead of in every pass. A `gelu` or
// `relu` after the product runs in the same kernel. Any number of rows fits. Returns how many products were packed.
int32_t pack_products(const std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace flambeau
