// Attention of reduced precision, made in f32.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <memory>

namespace flambeau {

// Has every `aten::scaled_dot_product_attention` whose query is bf16 or f16 computed in f32, its result in the query's type. What is
// f32 or f64 stays as it is. Returns how many there are.
int32_t widen_attention(const std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace flambeau
