// Ranks that add up tensors: c10d's Gloo back end. The ranks find one another by a board that the caller provides (only Gloo's
// own pairs listen, on one address). Every wait has a deadline. Of Gloo's own types only pointers are passed on (see
// opaque/gloo).
#include "error.h"

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <ATen/ATen.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

// Holds the addresses of all ranks. Both functions are called on the thread that opens the group, until it is open.
struct FlbBoard {
  void* context;
  // Whether the bytes were put.
  bool (*put)(void* context, const char* key, const uint8_t* bytes, int64_t length);
  // Waits for the bytes of a key; they are valid until the next call. Null: there are none, and the caller knows the reason.
  const uint8_t* (*get)(void* context, const char* key, int64_t* length);
};

namespace {

using Millis = std::chrono::milliseconds;

// The board as a store for Gloo. Gloo puts its own address, and waits for and reads those of the others.
class BoardStore final : public c10d::Store {
 public:
  explicit BoardStore(FlbBoard board) : board_(board), owner_(std::this_thread::get_id()) {}

  // After this the board is not used any more and may be freed.
  void close() { open_ = false; }

  c10::intrusive_ptr<c10d::Store> clone() override { C10_THROW_ERROR(Error, "the group's board is one"); }

  void set(const std::string& key, const std::vector<uint8_t>& value) override {
    check_open();
    TORCH_CHECK(board_.put(board_.context, key.c_str(), value.data(), static_cast<int64_t>(value.size())), "the board does not take ", key);
  }

  std::vector<uint8_t> get(const std::string& key) override {
    check_open();
    int64_t length = 0;
    const auto* bytes = board_.get(board_.context, key.c_str(), &length);
    TORCH_CHECK(bytes != nullptr, "the board has no ", key);
    return std::vector<uint8_t>(bytes, bytes + length);
  }

  void wait(const std::vector<std::string>& keys) override {
    for (const auto& key : keys) get(key);
  }

  void wait(const std::vector<std::string>& keys, const Millis& /*the caller's deadline applies*/) override { wait(keys); }

  int64_t add(const std::string& /*key*/, int64_t /*value*/) override { return unused(); }
  bool deleteKey(const std::string& /*key*/) override { return unused() != 0; }
  bool check(const std::vector<std::string>& /*keys*/) override { return unused() != 0; }
  int64_t getNumKeys() override { return unused(); }

 private:
  void check_open() const { TORCH_CHECK(open_ && owner_ == std::this_thread::get_id(), "the group's board is closed"); }
  static int64_t unused() { C10_THROW_ERROR(Error, "the group's board has no such operation"); }

  FlbBoard board_;
  std::thread::id owner_;
  bool open_ = true;
};

struct Group {
  c10::intrusive_ptr<BoardStore> store;  // before gloo, so that it outlives it
  c10::intrusive_ptr<c10d::ProcessGroupGloo> gloo;
};

struct Pending {
  c10::intrusive_ptr<c10d::Work> work;
};

}  // namespace

extern "C" {

// Joins the group and waits for all others until the deadline. `own_host` is the address of this rank for its peers, and the only
// one that it listens on.
void* flb_group_open(
    const FlbBoard* board, int32_t rank, int32_t world, const char* own_host, int64_t timeout_ms, FlbError* error) {
  return flambeau::guarded<void*>(error, nullptr, [&]() -> void* {
    auto group = std::make_unique<Group>();
    group->store = c10::make_intrusive<BoardStore>(*board);
    auto options = c10d::ProcessGroupGloo::Options::create(Millis(timeout_ms));
    options->devices.push_back(c10d::ProcessGroupGloo::createDeviceForHostname(own_host));
    try {
      group->gloo = c10::make_intrusive<c10d::ProcessGroupGloo>(group->store, rank, world, options);
    } catch (...) {
      group->store->close();
      throw;
    }
    group->store->close();
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

// Whether it is done, after waiting for up to `millis`. Fills `error` if it failed.
bool flb_pending_wait(void* pending, int64_t millis, FlbError* error) {
  return flambeau::guarded<bool>(error, false, [&] {
    auto& work = static_cast<Pending*>(pending)->work;
    // Throws both if the time is up and if the sum failed. If it is done now, the second call shows which.
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
