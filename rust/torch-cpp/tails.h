// Outputs that are computed from other outputs, taken out of a program so that they run only if they are wanted.
#pragma once

#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace flambeau {

// The end of a program that gives one output, like the classes that a last layer computes from the features.
struct Tail {
  size_t output = 0;          // its index among all outputs
  std::vector<size_t> reads;  // outputs that it is computed from, which are not tails
  std::shared_ptr<torch::jit::GraphExecutor> program;
};

// Takes the tails out of a graph that returns a tuple, which then returns the other outputs in their order. At least one stays.
std::vector<Tail> cut_tails(const std::shared_ptr<torch::jit::Graph>& graph);

}  // namespace flambeau
