// How a C++ failure reaches Rust: a kind and a malloc'ed message, filled by the one catch chain below. No exception
// ever crosses into Rust.
#pragma once

#include <c10/util/Exception.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string>

extern "C" {
struct FlbError {
  int32_t kind;   // 0 none, 1 libtorch, 2 out of memory, 3 a device
  char* message;  // owned by the receiver; free with flb_free_message
};
}

namespace flambeau {

inline void fill(FlbError* error, int32_t kind, std::string text) {
  error->kind = kind;
  error->message = strdup(text.c_str());
}

// Runs `body`; returns its value, or `otherwise` with `error` filled.
template <typename T, typename Body>
T guarded(FlbError* error, T otherwise, Body body) noexcept {
  error->kind = 0;
  error->message = nullptr;
  try {
    return body();
  } catch (const c10::OutOfMemoryError& e) {
    fill(error, 2, e.what_without_backtrace());
  } catch (const c10::AcceleratorError& e) {
    fill(error, 3, e.what_without_backtrace());
  } catch (const c10::Error& e) {
    fill(error, 1, e.what_without_backtrace());
  } catch (const std::bad_alloc& e) {
    fill(error, 2, "std::bad_alloc");
  } catch (const std::exception& e) {
    fill(error, 1, e.what());
  } catch (...) {
    fill(error, 1, "an exception that is not a std::exception");
  }
  return otherwise;
}

}  // namespace flambeau
