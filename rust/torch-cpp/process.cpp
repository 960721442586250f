// Settings of the whole process: made once, before first use.
#include "process.h"

#include "error.h"

#include <ATen/Parallel.h>
#include <c10/core/CPUAllocator.h>
#include <dlfcn.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <torch/version.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>

namespace flambeau {

std::atomic<int32_t> intra_op_threads{0};

void apply_threads() {
  thread_local int32_t applied = 0;
  const int32_t wanted = intra_op_threads.load(std::memory_order_relaxed);
  if (wanted == applied) return;
  at::set_num_threads(wanted);
  applied = wanted;
}

// The memory that OpenBLAS maps for the first product of a thread (measured: 128 MiB), a stack, and 64 MiB of growth of the heap.
constexpr size_t address_space_reserve = 256 << 20;

void require_address_space() {
  static const bool limited = [] {
    rlimit limit{};
    return getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  }();
  if (!limited) return;
  void* probe = mmap(nullptr, address_space_reserve, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  TORCH_CHECK_WITH(OutOfMemoryError, probe != MAP_FAILED,
      "not enough memory: the process's address space (ulimit -v) is used up to the last ", address_space_reserve >> 20,
      " MiB; raise the limit or lower the heap");
  munmap(probe, address_space_reserve);
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

// The first number of a file, or of the line that begins with `key`.
uint64_t number_in(const std::string& path, const std::string& key, uint64_t otherwise) {
  std::ifstream file(path);
  std::string line;
  while (std::getline(file, line)) {
    if (line.compare(0, key.size(), key) != 0) continue;
    const auto digit = line.find_first_of("0123456789", key.size());
    return digit == std::string::npos ? otherwise : std::strtoull(line.c_str() + digit, nullptr, 10);
  }
  return otherwise;
}

// The control group of this process in version 2; empty if there is none.
std::string control_group() {
  std::ifstream file("/proc/self/cgroup");
  std::string line;
  while (std::getline(file, line)) {
    if (line.compare(0, 3, "0::") == 0) return "/sys/fs/cgroup" + line.substr(3);
  }
  return {};
}

// Bytes that are still available on the machine and in this process's container.
uint64_t available_bytes() {
  constexpr uint64_t unknown = std::numeric_limits<uint64_t>::max();
  const uint64_t machine_kib = number_in("/proc/meminfo", "MemAvailable:", unknown / 1024);
  uint64_t available = machine_kib * 1024;
  auto group = [&](const std::string& folder, const char* limit, const char* used, const char* reclaimable) {
    const uint64_t most = number_in(folder + limit, "", unknown);
    const uint64_t now = number_in(folder + used, "", 0);
    const uint64_t cache = number_in(folder + "/memory.stat", reclaimable, 0);
    if (most != unknown) available = std::min(available, most - std::min(most, now - std::min(now, cache)));
  };
  static const std::string own = control_group();
  if (!own.empty()) group(own, "/memory.max", "/memory.current", "inactive_file ");
  group("/sys/fs/cgroup", "/memory.max", "/memory.current", "inactive_file ");
  group("/sys/fs/cgroup/memory", "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file ");
  return available;
}

// libtorch's allocator, which rejects more memory than is available: Linux overcommits memory, and kills a process that uses too
// much.
class BoundedAllocator final : public c10::Allocator {
 public:
  explicit BoundedAllocator(c10::Allocator* base) : base_(base) {}

  at::DataPtr allocate(size_t bytes) override {
    if (bytes >= asked_from) {
      const uint64_t available = available_bytes();
      TORCH_CHECK_WITH(OutOfMemoryError, bytes <= available, "not enough memory: you tried to allocate ", bytes,
          " bytes; the machine or its container has ", available, " left");
    }
    return base_->allocate(bytes);
  }

  at::DeleterFnPtr raw_deleter() const override { return base_->raw_deleter(); }

  void copy_data(void* to, const void* from, std::size_t bytes) const override { base_->copy_data(to, from, bytes); }

 private:
  static constexpr size_t asked_from = 256 << 20;  // smaller ones are not worth the check
  c10::Allocator* base_;
};

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

// Whether there is room for a forward pass; see process.h.
void flb_require_address_space(FlbError* error) {
  flambeau::guarded<int>(error, 0, [&] {
    flambeau::require_address_space();
    return 0;
  });
}

// For a thread that is about to call operators by itself.
void flb_apply_threads() { flambeau::apply_threads(); }

// Big tensors are mmapped and unmapped per operator by default, so their pages fault again each time. Raising the
// thresholds keeps them in the heap: measured at up to 1.9x on convolutional nets.
void flb_tune_malloc() {
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, INT32_MAX);
  mallopt(M_TOP_PAD, 64 << 20);
}

// Rejects tensors that are too large before they are allocated. Once per process.
void flb_bound_allocations() {
  static BoundedAllocator bounded(c10::GetCPUAllocator());
  c10::SetCPUAllocator(&bounded, /*priority=*/1);
}

// Bytes that are still available on the machine and in this process's container; the largest number if neither is known.
uint64_t flb_available_bytes() { return available_bytes(); }

// Returns unused pages to the system.
void flb_trim_memory() { malloc_trim(0); }

// The version that this shim was compiled against; libraries of another one do not load.
const char* flb_libtorch_version() { return TORCH_VERSION; }

}  // extern "C"
