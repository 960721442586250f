// The nodes of a graph, found by what they are.
#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <functional>
#include <vector>

namespace flambeau {

using IsWanted = std::function<bool(const torch::jit::Node*)>;

inline void collect_nodes(torch::jit::Block* block, const IsWanted& wanted, std::vector<torch::jit::Node*>& found) {
  for (torch::jit::Node* node : block->nodes()) {
    if (wanted(node)) found.push_back(node);
    for (torch::jit::Block* inner : node->blocks()) collect_nodes(inner, wanted, found);
  }
}

// Those that are wanted, in the program's order, also within branches and loops. The graph may be changed while they are visited.
inline std::vector<torch::jit::Node*> nodes_of(torch::jit::Graph& graph, const IsWanted& wanted) {
  std::vector<torch::jit::Node*> found;
  collect_nodes(graph.block(), wanted, found);
  return found;
}

}  // namespace flambeau
