// See tails.h. A tail is cut off only if it reads nothing but outputs and constants, and writes to no memory of other nodes. Then it can
// run later, or not at all, and no number changes. Classes of EfficientNet-Lite0 took 2.5 % of a pass
// of 4 images, also where only its features were wanted.
#include "tails.h"

#include "nodes.h"

#include <torch/csrc/jit/ir/alias_analysis.h>
#include <torch/csrc/jit/passes/dead_code_elimination.h>

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>

namespace flambeau {
namespace {

using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

bool is_constant(const Node* node) {
  return node->kind() == torch::jit::prim::Constant || node->kind() == torch::jit::prim::ConstantMKLDNNTensor;
}

bool can_move(Node* node, const torch::jit::AliasDb& aliases) {
  const auto is_written = [&](const Value* value) { return aliases.hasWriters(value); };
  const auto inputs = node->inputs();
  const auto outputs = node->outputs();
  return node->blocks().empty() && !node->hasSideEffects() && !node->isNondeterministic() && !aliases.hasWriters(node) &&
      std::none_of(inputs.begin(), inputs.end(), is_written) && std::none_of(outputs.begin(), outputs.end(), is_written);
}

// The nodes that only `last` needs, with itself, in the program's order; none if one of them cannot move.
std::vector<Node*> own_nodes(Node* last, const torch::jit::AliasDb& aliases) {
  std::set<Node*> own{last};
  std::vector<Node*> open{last};
  while (!open.empty()) {
    Node* node = open.back();
    open.pop_back();
    if (!can_move(node, aliases)) return {};
    for (Value* input : node->inputs()) {
      Node* source = input->node();
      if (own.count(source) > 0 || is_constant(source) || source->kind() == torch::jit::prim::Param) continue;
      const auto outputs = source->outputs();
      const bool is_own = std::all_of(outputs.begin(), outputs.end(), [&](const Value* value) {
        const auto& uses = value->uses();
        return std::all_of(uses.begin(), uses.end(), [&](const torch::jit::Use& use) { return own.count(use.user) > 0; });
      });
      if (is_own) {
        own.insert(source);
        open.push_back(source);
      }
    }
  }
  std::vector<Node*> ordered(own.begin(), own.end());
  std::sort(ordered.begin(), ordered.end(), [](const Node* a, const Node* b) { return a->isBefore(b); });
  return ordered;
}

// The graph of output `k` of `returned`, if it is a tail.
std::optional<Tail> tail_of(Node* returned, size_t k, const torch::jit::AliasDb& aliases) {
  Value* result = returned->input(k);
  if (result->uses().size() != 1 || is_constant(result->node()) || result->node()->kind() == torch::jit::prim::Param) return std::nullopt;
  const auto nodes = own_nodes(result->node(), aliases);
  if (nodes.empty()) return std::nullopt;
  Tail tail;
  tail.output = k;
  const auto graph = std::make_shared<Graph>();
  std::unordered_map<const Value*, Value*> known;
  for (Node* node : nodes) {
    for (Value* input : node->inputs()) {
      if (known.count(input) > 0) continue;
      if (is_constant(input->node())) {
        Node* constant = graph->appendNode(graph->createClone(input->node(), [](Value* value) { return value; }));
        known[input] = constant->output();
        continue;
      }
      const auto outputs = returned->inputs();
      const auto at = std::find(outputs.begin(), outputs.end(), input);
      if (at == outputs.end()) return std::nullopt;
      tail.reads.push_back(static_cast<size_t>(at - outputs.begin()));
      known[input] = graph->addInput()->setType(input->type());
    }
    Node* clone = graph->appendNode(graph->createClone(node, [&](Value* value) { return known.at(value); }));
    for (size_t i = 0; i < node->outputs().size(); i++) known[node->output(i)] = clone->output(i);
  }
  if (tail.reads.empty()) return std::nullopt;
  graph->registerOutput(known.at(result));
  tail.program = std::make_shared<torch::jit::GraphExecutor>(graph, "tail");
  return tail;
}

}  // namespace

std::vector<Tail> cut_tails(const std::shared_ptr<Graph>& graph) {
  if (graph->outputs().size() != 1) return {};
  Node* returned = graph->outputs().at(0)->node();
  if (returned->kind() != torch::jit::prim::TupleConstruct || graph->outputs().at(0)->uses().size() != 1) return {};
  std::vector<Tail> tails;
  {
    const torch::jit::AliasDb aliases(graph);
    for (size_t k = 0; k < returned->inputs().size(); k++) {
      if (auto tail = tail_of(returned, k, aliases)) tails.push_back(std::move(*tail));
    }
  }
  // No tail reads a tail: an output that another one reads has two uses. So an output always stays.
  std::vector<c10::TypePtr> types;
  for (auto tail = tails.rbegin(); tail != tails.rend(); tail++) returned->removeInput(tail->output);
  for (const Value* value : returned->inputs()) types.push_back(value->type());
  returned->output()->setType(c10::TupleType::create(std::move(types)));
  torch::jit::EliminateDeadCode(graph);
  return tails;
}

}  // namespace flambeau
