// The number of intra-op threads, which OpenMP keeps per calling thread: a task's thread that never set it would run every
// convolution on all cores, whatever the process was told (measured: two tasks on two cores, 54 images/s instead of 97).
#pragma once

#include <atomic>
#include <cstdint>

namespace flambeau {

extern std::atomic<int32_t> intra_op_threads;

// Makes the calling thread use that number; cheap after the first call of a thread.
void apply_threads();

}  // namespace flambeau
