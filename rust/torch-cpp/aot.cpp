// Programs compiled ahead of time by AOTInductor: a shared library of machine code and weights, run by libtorch's own runner.
// One library may be run by many threads at once: the runner holds `runners` states, which share the weights, and a thread
// waits only while more threads than that are inside.
#include "error.h"
#include "forward.h"
#include "process.h"

#include <c10/core/InferenceMode.h>
#include <torch/csrc/inductor/aoti_runner/model_container_runner_cpu.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>

#include <dlfcn.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace {

using Runner = torch::inductor::AOTIModelContainerRunnerCpu;

// Compiled code also needs libtorch.so. That library is empty: a program that is linked with libtorch_cpu.so may not have loaded
// it, and the system does not look for it here. It is in the folder of libtorch_cpu.so.
void load_libtorch() {
  Dl_info here{};
  TORCH_CHECK(dladdr(reinterpret_cast<void*>(&aoti_torch_device_type_cpu), &here) != 0, "libtorch_cpu.so has no path");
  const std::string path(here.dli_fname);
  const std::string beside = path.substr(0, path.rfind('/') + 1) + "libtorch.so";
  TORCH_CHECK(dlopen(beside.c_str(), RTLD_LAZY | RTLD_LOCAL) != nullptr, dlerror());
}

}  // namespace

extern "C" {

// The code in the file `library`, which may be removed afterwards.
void* flb_aot_load(const char* library, int32_t runners, FlbError* error) {
  return flambeau::guarded<void*>(error, nullptr, [&]() -> void* {
    c10::InferenceMode guard;
    flambeau::require_address_space();
    [[maybe_unused]] static const bool loaded = (load_libtorch(), true);
    return new Runner(library, static_cast<size_t>(runners), /*run_single_threaded=*/false);
  });
}

void flb_aot_free(void* program) { delete static_cast<Runner*>(program); }

// Runs the code on `count` tensors (borrowed). Their types, sizes and strides must be those it was compiled for: it does not
// check them. Returns Outputs, to be freed with flb_outputs_free.
void* flb_aot_forward(void* program, const at::Tensor* const* inputs, int32_t count, FlbError* error) {
  return flambeau::forward_pass(error, [&](flambeau::Outputs& outputs) {
    std::vector<at::Tensor> given;
    given.reserve(static_cast<size_t>(count));
    for (int32_t i = 0; i < count; i++) given.push_back(*inputs[i]);
    for (at::Tensor& tensor : static_cast<Runner*>(program)->run(given)) {
      outputs.items.push_back({std::nullopt, std::move(tensor)});
    }
  });
}

}  // extern "C"
