// Questions about a tensor's memory that tch does not ask.
#include <ATen/core/Tensor.h>

#include <atomic>

extern "C" {

// Whether nobody else has this tensor or a view of it. What others wrote or read before they dropped theirs has happened by then.
bool flb_tensor_is_alone(const at::Tensor* tensor) {
  const bool alone = tensor->use_count() == 1 && tensor->storage().use_count() == 1;
  std::atomic_thread_fence(std::memory_order_acquire);
  return alone;
}

}  // extern "C"
