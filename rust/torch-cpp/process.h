// Settings of the process, and checks before work begins.
//
// The number of intra-op threads. OpenMP keeps it per calling thread: a task's thread that never set it would run every
// convolution on all cores, whatever the process's setting. Measured with two tasks on two cores: 54 images/s instead of 97.
#pragma once

#include <atomic>
#include <cstdint>

namespace flambeau {

extern std::atomic<int32_t> intra_op_threads;

// Makes the calling thread use that number; cheap after the first call of a thread.
void apply_threads();

// Throws c10::OutOfMemoryError where the process's address space is limited (ulimit -v) and nearly used up: OpenBLAS ends the
// process when it cannot map a buffer.
void require_address_space();

}  // namespace flambeau
