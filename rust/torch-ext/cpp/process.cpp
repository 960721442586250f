// Settings of the whole process: made once, before first use.
#include "error.h"

#include <ATen/Parallel.h>
#include <malloc.h>
#include <torch/version.h>

extern "C" {

// Threads inside one operator, for every thread that calls libtorch; and between operators.
void flb_set_threads(int32_t intra_op, FlbError* error) {
  flambeau::guarded<int>(error, 0, [&] {
    at::set_num_threads(intra_op);
    at::set_num_interop_threads(1);
    return 0;
  });
}

// Big tensors are mmapped and unmapped per operator by default, so their pages fault anew each time. Raising the
// thresholds keeps them in the heap: measured at up to 1.9x on convolutional nets (reference/spark.md, section 6).
void flb_tune_malloc() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, INT32_MAX);
  mallopt(M_TOP_PAD, 64 << 20);
}

// The version that this shim was compiled against; libraries of another one do not load.
const char* flb_libtorch_version() { return TORCH_VERSION; }

}  // extern "C"
