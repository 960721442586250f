// Opaque: held by shared_ptr only. setTimeout is named by an inline function that is never called from here.
#pragma once

#include <gloo/transport/device.h>

#include <chrono>

namespace gloo {
class Context {
 public:
  void setTimeout(std::chrono::milliseconds timeout);
};
}  // namespace gloo
