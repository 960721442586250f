// Folds zero padding before a convolution into the convolution.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <memory>

namespace flambeau {

// Whether the node is a convolution, under the names of scripted and of traced programs.
bool is_convolution(const torch::jit::Node* node);

// Makes convolutions read their input directly, without a padded copy. TensorFlow's "same" padding may be one wider at the end
// than at the start, which libtorch's convolutions do not support. Then their kernel is enlarged by a row and a column of zeros,
// if that is cheap.
void fold_pads(const std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace flambeau
