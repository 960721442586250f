// Integer divisions that the processor refuses: the smallest integer by -1, or any by zero. libtorch guards few of them, and
// the signal would end the process.
#pragma once

#include <c10/util/Exception.h>

#include <cstdint>

namespace flambeau {

// Divisions refused so far, on this thread and on helper threads of libtorch.
struct Traps {
  uint64_t own;
  uint64_t foreign;
};

Traps traps_so_far();

// Throws if a division was refused since `before`: what was computed since then means nothing.
inline void check_traps(const Traps& before) {
  const Traps now = traps_so_far();
  TORCH_CHECK(now.own == before.own && now.foreign == before.foreign,
      "an integer division has no result: the smallest integer was divided by -1, or an integer by zero");
}

}  // namespace flambeau
