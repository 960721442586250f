// Zero padding in front of a convolution, made part of the convolution.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <memory>

namespace flambeau {

// Whether the node is a convolution, by the names that scripted and traced programs have for one.
bool is_convolution(const torch::jit::Node* node);

// Convolutions read their input as it is, without a padded copy of it. TensorFlow's "same" padding may be one wider at the end
// than at the start, which libtorch's convolutions cannot say: their kernel grows by a row and a column of zeros instead, where
// that is cheap.
void fold_pads(const std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace flambeau
