// Questions about a tensor's memory that tch does not ask.
#include <ATen/core/Tensor.h>

#include <atomic>

extern "C" {

// Whether no other code has this tensor or a view of it. Reads and writes through views that were dropped have ended.
bool flb_tensor_is_alone(const at::Tensor* tensor) {
  const bool alone = tensor->use_count() == 1 && tensor->storage().use_count() == 1;
  std::atomic_thread_fence(std::memory_order_acquire);
  return alone;
}

}  // extern "C"
