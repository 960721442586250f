// What every engine does around a forward pass: no autograd, the process's number of threads, and refused divisions are errors.
#pragma once

#include "error.h"
#include "outputs.h"
#include "process.h"
#include "trap.h"

#include <c10/core/InferenceMode.h>

#include <memory>

namespace flambeau {

// `run` fills the outputs. Returns Outputs, to be freed with flb_outputs_free, or null with `error` filled.
template <typename Run>
void* forward_pass(FlbError* error, Run run) {
  return guarded<void*>(error, nullptr, [&]() -> void* {
    c10::InferenceMode guard;
    apply_threads();
    const auto traps = traps_so_far();
    auto outputs = std::make_unique<Outputs>();
    run(*outputs);
    check_traps(traps);
    return outputs.release();
  });
}

}  // namespace flambeau
