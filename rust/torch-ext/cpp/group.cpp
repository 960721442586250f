// Ranks that add up tensors: c10d's TCPStore for the rendezvous and its Gloo back end for the sums. Every wait has a
// deadline. Of Gloo's own types only pointers are passed on (see opaque/gloo).
#include "error.h"

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

namespace {

using Millis = std::chrono::milliseconds;

struct Store {
  c10::intrusive_ptr<c10d::TCPStore> tcp;
};

struct Group {
  c10::intrusive_ptr<c10d::Store> store;  // before gloo, so that it outlives it
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;
};

struct Pending {
  c10::intrusive_ptr<c10d::Work> work;
};

}  // namespace

extern "C" {

// A client of the store at host:port, or, with `serve`, the store itself on a free port.
void* flb_store_open(const char* host, int32_t port, bool serve, int64_t timeout_ms, FlbError* error) {
  return flambeau::guarded<void*>(error, nullptr, [&]() -> void* {
    c10d::TCPStoreOptions options;
    options.port = static_cast<uint16_t>(serve ? 0 : port);
    options.isServer = serve;
    options.waitWorkers = false;
    options.timeout = Millis(timeout_ms);
    auto store = std::make_unique<Store>();
    store->tcp = c10::make_intrusive<c10d::TCPStore>(std::string(host), options);
    store->tcp->setTimeout(Millis(timeout_ms));
    return store.release();
  });
}

void flb_store_put(void* store, const char* key, const uint8_t* bytes, int64_t length, FlbError* error) {
  flambeau::guarded<int>(error, 0, [&] {
    static_cast<Store*>(store)->tcp->set(std::string(key), std::vector<uint8_t>(bytes, bytes + length));
    return 0;
  });
}

// The values of prefix0 … prefix(world - 1) one after another, `lengths[i]` bytes each, malloc'ed (flb_free_bytes); null while one
// is missing. Does not wait for it.
uint8_t* flb_store_all(void* store, const char* prefix, int32_t world, int64_t* lengths, FlbError* error) {
  return flambeau::guarded<uint8_t*>(error, nullptr, [&]() -> uint8_t* {
    auto& tcp = static_cast<Store*>(store)->tcp;
    std::vector<std::string> keys;
    for (int32_t rank = 0; rank < world; rank++) keys.push_back(prefix + std::to_string(rank));
    if (!tcp->check(keys)) return nullptr;
    const auto values = tcp->multiGet(keys);
    size_t total = 0;
    for (const auto& value : values) total += value.size();
    auto* bytes = static_cast<uint8_t*>(malloc(std::max<size_t>(total, 1)));
    if (bytes == nullptr) throw std::bad_alloc();
    auto* at = bytes;
    for (size_t i = 0; i < values.size(); i++) {
      lengths[i] = static_cast<int64_t>(values[i].size());
      at = std::copy(values[i].begin(), values[i].end(), at);
    }
    return bytes;
  });
}

int32_t flb_store_port(const void* store) { return static_cast<const Store*>(store)->tcp->getPort(); }

void flb_store_free(void* store) { delete static_cast<Store*>(store); }

// Joins the group, waiting for all others until the deadline. `own_host` is the address that peers reach this rank by.
void* flb_group_open(void* store, int32_t rank, int32_t world, const char* own_host, int64_t timeout_ms, FlbError* error) {
  return flambeau::guarded<void*>(error, nullptr, [&]() -> void* {
    auto group = std::make_unique<Group>();
    group->store = static_cast<Store*>(store)->tcp;
    auto options = c10d::ProcessGroupGloo::Options::create(Millis(timeout_ms));
    options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(own_host));
    group->gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(group->store, rank, world, options);
    return group.release();
  });
}

void flb_group_free(void* group) { delete static_cast<Group*>(group); }

// Starts adding up `tensor` (dense, contiguous) over all ranks, in place. The tensor is kept alive until it is done.
void* flb_group_all_reduce(void* group, const at::Tensor* tensor, FlbError* error) {
  return flambeau::guarded<void*>(error, nullptr, [&]() -> void* {
    std::vector<at::Tensor> tensors{*tensor};
    auto pending = std::make_unique<Pending>();
    pending->work = static_cast<Group*>(group)->gloo->allreduce(tensors);
    return pending.release();
  });
}

// Whether it is done, waiting up to `millis` for that. Fills `error` where it failed.
bool flb_pending_wait(void* pending, int64_t millis, FlbError* error) {
  return flambeau::guarded<bool>(error, false, [&] {
    auto& work = static_cast<Pending*>(pending)->work;
    // Throws where time is up and where the sum failed alike. Done by now, it tells how at the second call.
    try {
      work->wait(Millis(millis));
    } catch (...) {
      if (!work->isCompleted()) return false;
      work->wait();
    }
    return true;
  });
}

void flb_pending_free(void* pending) { delete static_cast<Pending*>(pending); }

}  // extern "C"
