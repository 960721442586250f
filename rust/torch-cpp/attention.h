// Attention of reduced precision, computed in f32.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <memory>

namespace flambeau {

// Makes every `aten::scaled_dot_product_attention` with a bf16 or f16 query compute in f32 and return the query's type. Others
// are not changed. Returns the number of changed nodes.
int32_t widen_attention(const std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace flambeau
