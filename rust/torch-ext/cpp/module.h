// A TorchScript program that is loaded, frozen and optimized. All engines start from it.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <cstdint>

namespace flambeau {

struct Module {
  torch::jit::Module script;
  int64_t parameter_bytes = 0;
  int32_t inputs = 0;
};

}  // namespace flambeau
