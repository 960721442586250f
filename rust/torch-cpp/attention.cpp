// See attention.h. The products of attention are small, and libtorch's bf16 and f16 kernels prepare each one again.
#include "attention.h"

#include "nodes.h"

#include <ATen/ATen.h>
#include <torch/csrc/jit/runtime/operator.h>

#include <optional>

namespace flambeau {
namespace {

using c10::Symbol;
using torch::jit::Node;

constexpr size_t kArguments = 8;

void attend(torch::jit::Stack& stack) {
  const auto arguments = torch::jit::last(stack, kArguments);
  const at::Tensor query = arguments[0].toTensor();
  at::Tensor key = arguments[1].toTensor(), value = arguments[2].toTensor();
  std::optional<at::Tensor> mask = arguments[3].toOptional<at::Tensor>();
  const double dropout = arguments[4].toDouble();
  const bool causal = arguments[5].toBool(), grouped = arguments[7].toBool();
  const auto scale = arguments[6].toOptional<double>();
  const auto type = query.scalar_type();
  torch::jit::drop(stack, kArguments);
  if (type != at::kBFloat16 && type != at::kHalf) {
    stack.emplace_back(at::scaled_dot_product_attention(query, key, value, mask, dropout, causal, scale, grouped));
    return;
  }
  if (mask && mask->scalar_type() != at::kBool) mask = mask->to(at::kFloat);
  const auto wide = at::scaled_dot_product_attention(
      query.to(at::kFloat), key.to(at::kFloat), value.to(at::kFloat), mask, dropout, causal, scale, grouped);
  stack.emplace_back(wide.to(type));
}

const Symbol& operation() {
  static const Symbol symbol = [] {
    torch::jit::registerOperator(torch::jit::Operator(
        "flambeau::attention(Tensor query, Tensor key, Tensor value, Tensor? attn_mask, float dropout_p, bool is_causal, float? scale, "
        "bool enable_gqa) -> Tensor",
        attend, c10::AliasAnalysisKind::PURE_FUNCTION));
    return Symbol::fromQualString("flambeau::attention");
  }();
  return symbol;
}

bool is_attention(const Node* node) {
  return node->kind() == Symbol::fromQualString("aten::scaled_dot_product_attention") && node->inputs().size() == kArguments;
}

}  // namespace

int32_t widen_attention(const std::shared_ptr<torch::jit::Graph>& graph) {
  const auto found = nodes_of(*graph, is_attention);
  for (Node* node : found) {
    Node* widened = graph->create(operation(), node->inputs());
    widened->insertBefore(node);
    widened->output()->setType(node->output()->type());
    node->output()->replaceAllUsesWith(widened->output());
    node->destroy();
  }
  return static_cast<int32_t>(found.size());
}

}  // namespace flambeau
