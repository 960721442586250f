// The outputs of a forward pass, in any form.
#pragma once

#include <ATen/core/ivalue.h>
#include <c10/util/Exception.h>

#include <optional>
#include <string>
#include <vector>

namespace flambeau {

struct Output {
  std::optional<std::string> name;
  at::Tensor tensor;
};

struct Outputs {
  std::vector<Output> items;
};

// A tensor, a tuple or list of tensors, or a dict from name to tensor: anything else is an error of the program.
inline void flatten(const c10::IValue& value, Outputs& out) {
  auto push = [&](std::optional<std::string> name, const c10::IValue& v) {
    TORCH_CHECK(v.isTensor(), "the program returned ", v.tagKind(), " where a tensor is expected");
    out.items.push_back({std::move(name), v.toTensor()});
  };
  if (value.isTensor()) {
    push(std::nullopt, value);
  } else if (value.isTuple()) {
    for (const auto& v : value.toTupleRef().elements()) push(std::nullopt, v);
  } else if (value.isList()) {
    for (const c10::IValue& v : value.toListRef()) push(std::nullopt, v);
  } else if (value.isGenericDict()) {
    for (const auto& entry : value.toGenericDict()) push(entry.key().toStringRef(), entry.value());
  } else {
    TORCH_CHECK(false, "the program returned ", value.tagKind(), "; expected a tensor, a tuple of tensors or a dict of tensors");
  }
}

}  // namespace flambeau
