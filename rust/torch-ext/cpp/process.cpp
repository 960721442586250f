// Settings of the whole process: made once, before first use.
#include "process.h"

#include "error.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <malloc.h>
#include <torch/version.h>

namespace flambeau {

std::atomic<int32_t> intra_op_threads{0};

void apply_threads() {
  thread_local int32_t applied = 0;
  const int32_t wanted = intra_op_threads.load(std::memory_order_relaxed);
  if (wanted == applied) return;
  at::set_num_threads(wanted);
  applied = wanted;
}

}  // namespace flambeau

namespace {

// OpenBLAS (libtorch's matrix products in the Maven build) has a pool of its own that at::set_num_threads does not reach:
// with it, two tasks on two cores made 62 images/s instead of 110. A libtorch without OpenBLAS has nothing to set.
void limit_openblas(int threads) {
  void* library = dlopen("libopenblas.so.0", RTLD_LAZY | RTLD_NOLOAD);
  if (library == nullptr) return;
  using SetThreads = void (*)(int);
  if (auto set = reinterpret_cast<SetThreads>(dlsym(library, "openblas_set_num_threads"))) set(threads);
  dlclose(library);
}

}  // namespace

extern "C" {

// Threads inside one operator, for every thread that will call libtorch; and between operators.
void flb_set_threads(int32_t intra_op, FlbError* error) {
  flambeau::guarded<int>(error, 0, [&] {
    limit_openblas(intra_op);
    flambeau::intra_op_threads.store(intra_op);
    flambeau::apply_threads();
    at::set_num_interop_threads(1);
    return 0;
  });
}

// For a thread that is about to call operators by itself.
void flb_apply_threads() { flambeau::apply_threads(); }

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
