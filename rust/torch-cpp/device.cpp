// CUDA devices: whether there is one, the streams that a thread uses on it, and forward passes there.
//
// Only libtorch's device-neutral interfaces are used, so one library runs with libtorch's builds for CPUs and for CUDA. Input is
// copied through pinned memory on a stream of its own: a pass's copy runs while the pass before it computes. A thread is at most
// `in_flight_passes` passes ahead of the device, which bounds memory and the time that a killed task takes to end.
#include "error.h"
#include "forward.h"
#include "module.h"

#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <torch/csrc/jit/passes/tensorexpr_fuser.h>
#include <torch/script.h>

#include <deque>
#include <map>
#include <mutex>
#include <vector>

namespace {

constexpr size_t in_flight_passes = 2;

c10::Device cuda(int32_t index) { return {c10::kCUDA, static_cast<c10::DeviceIndex>(index)}; }

// What one thread uses on a device.
struct Streams {
  explicit Streams(c10::Device device)
      : copy(c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device)),
        compute(c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device)) {}

  void passed() {
    c10::Event done(compute.device_type());
    done.record(compute);
    in_flight.push_back(std::move(done));
  }

  void wait_for_room() {
    while (in_flight.size() >= in_flight_passes) {
      in_flight.front().synchronize();
      in_flight.pop_front();
    }
  }

  c10::Stream copy;
  c10::Stream compute;
  std::deque<c10::Event> in_flight;
};

// Streams of threads that ended. They are never freed: CUDA may be gone when the process's objects are.
std::mutex free_mutex;
auto& free_streams = *new std::map<c10::DeviceIndex, std::vector<Streams*>>;

// A thread keeps its streams until it ends. cuBLAS has a workspace (32 MiB on Hopper) for each pair of a thread's handle and a stream,
// so threads that exchanged streams would fill the device.
class StreamsOfThread {
 public:
  ~StreamsOfThread() {
    const std::lock_guard<std::mutex> lock(free_mutex);
    for (auto& [device, streams] : own_) free_streams[device].push_back(streams);
  }

  Streams* on(c10::Device device) {
    auto& mine = own_[device.index()];
    if (mine == nullptr) mine = taken(device);
    return mine;
  }

 private:
  static Streams* taken(c10::Device device) {
    const std::lock_guard<std::mutex> lock(free_mutex);
    auto& free = free_streams[device.index()];
    if (free.empty()) return new Streams(device);
    auto* streams = free.back();
    free.pop_back();
    return streams;
  }

  std::map<c10::DeviceIndex, Streams*> own_;
};

thread_local StreamsOfThread of_thread;
thread_local Streams* current = nullptr;

// A thread's time on a device: every operator that it calls meanwhile runs on its compute stream.
class OnDevice {
 public:
  explicit OnDevice(c10::Device device) : previous_(current), guard_(of_thread.on(device)->compute) { current = of_thread.on(device); }

  ~OnDevice() { current = previous_; }

  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

 private:
  Streams* previous_;
  c10::StreamGuard guard_;
};

// On its way to the device when this returns.
at::Tensor sent(const at::Tensor& input, const Streams& streams) {
  const auto pinned = input.is_pinned() ? input : input.pin_memory();
  auto there = pinned.to(streams.copy.device(), pinned.scalar_type(), /*non_blocking=*/true, /*copy=*/false);
  there.record_stream(streams.compute);
  return there;
}

}  // namespace

extern "C" {

// Fails with the reason unless this process can use the device.
void flb_device_check(int32_t index, FlbError* error) {
  flambeau::guarded<int>(error, 0, [&] {
    TORCH_CHECK(c10::impl::hasDeviceGuardImpl(c10::kCUDA), "this libtorch is a build for CPUs");
    at::globalContext().lazyInitDevice(c10::kCUDA);
    const int32_t count = c10::impl::VirtualGuardImpl(c10::kCUDA).deviceCount();
    TORCH_CHECK(index < count, "there is no CUDA device of this number, but ", count, " in all, numbered from 0");
    // f32 is f32: cuDNN would round to 10 bits of mantissa. And no kernels are compiled while tasks run.
    at::globalContext().setAllowTF32CuDNN(false);
    torch::jit::setTensorExprFuserEnabled(false);
    return 0;
  });
}

// Until flb_device_leave, on the same thread. Leave in reverse order.
void* flb_device_enter(int32_t index, FlbError* error) {
  return flambeau::guarded<void*>(error, nullptr, [&]() -> void* { return new OnDevice(cuda(index)); });
}

void flb_device_leave(void* on_device) { delete static_cast<OnDevice*>(on_device); }

// As flb_module_forward, on the device that the thread is on. The outputs are still being computed there when this returns.
void* flb_device_forward(void* module, const at::Tensor* const* inputs, int32_t count, FlbError* error) {
  return flambeau::forward_pass(error, [&](flambeau::Outputs& outputs) {
    TORCH_CHECK(current != nullptr, "the thread is on no device");
    current->wait_for_room();
    std::vector<c10::IValue> stack;
    stack.reserve(static_cast<size_t>(count));
    {
      const c10::StreamGuard copying(current->copy);
      for (int32_t i = 0; i < count; i++) stack.emplace_back(sent(*inputs[i], *current));
      c10::Event copied(c10::kCUDA);
      copied.record(current->copy);
      copied.block(current->compute);
    }
    auto& program = *static_cast<flambeau::Module*>(module);
    if (!program.channels_last) {
      for (auto& input : stack) input = input.toTensor().contiguous();
    }
    flambeau::flatten(program.script.get_method("forward")(std::move(stack)), outputs);
    for (auto& output : outputs.items) output.tensor = output.tensor.to_dense().contiguous();
    current->passed();
  });
}

// Bytes that tensors of this process take on the device now, and the most so far.
void flb_device_memory(int32_t index, int64_t* now_bytes, int64_t* peak_bytes, FlbError* error) {
  flambeau::guarded<int>(error, 0, [&] {
    const auto stats = c10::getDeviceAllocator(c10::kCUDA)->getDeviceStats(static_cast<c10::DeviceIndex>(index));
    const auto& allocated = stats.allocated_bytes[static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE)];
    *now_bytes = allocated.current;
    *peak_bytes = allocated.peak;
    return 0;
  });
}

}  // extern "C"
