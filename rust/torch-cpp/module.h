// A TorchScript program that is loaded, frozen and optimized. All engines start from it.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <cstdint>

namespace flambeau {

struct Module {
  torch::jit::Module script;
  int64_t parameter_bytes = 0;
  int32_t inputs = 0;
  // Whether images should come with their channels last. EfficientNet-Lite0 f32, 16 tasks on an H100: 106 images/s with channels
  // last, 4,095 without.
  bool channels_last = true;
};

}  // namespace flambeau
