// A block of host threads in place of a device's, for the serve loop: its barriers, what it shares,
// and the surroundings that it gives each thread.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "shared/device/block.hpp"
#include "shared/serve.hpp"

namespace fake {

using namespace gpures;

inline std::atomic<int> fault{0};      // the error that a driver would give
inline std::atomic<bool> hung{false};  // blocks stop where they are

struct Killed {};  // a kernel that a fault ended

// __syncthreads() of one block; a fault lets nobody wait for ever.
class BlockBarrier {
 public:
  explicit BlockBarrier(unsigned threads) : threads_(threads) {}
  void wait() {
    if (threads_ == 1) return;
    std::unique_lock lock(mutex_);
    const u64 round = round_;
    if (++waiting_ == threads_) {
      waiting_ = 0;
      ++round_;
      changed_.notify_all();
      return;
    }
    while (round_ == round) {
      if (fault.load() != 0) throw Killed{};
      changed_.wait_for(lock, std::chrono::milliseconds(5));
    }
  }

 private:
  const unsigned threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  unsigned waiting_ = 0;
  u64 round_ = 0;
};

struct Block {
  Block(unsigned threads, unsigned lanes)
      : threads(threads),
        lanes(lanes),
        barrier(threads),
        lanes_barrier(lanes),
        whole_barrier(threads + lanes) {}
  const unsigned threads, lanes;  // `lanes` of a poller apart, 0: the block polls itself
  BlockBarrier barrier, lanes_barrier, whole_barrier;
  bool votes[32] = {};
  unsigned rounds = 0;
  Batch batch{};
  Fetched fetched{};
  CallFrame frame{};
  alignas(16) u8 scratch[kScratchBytes]{};
};

inline u64 global_timer() {
  return u64(std::chrono::duration_cast<std::chrono::nanoseconds>(
                 std::chrono::steady_clock::now().time_since_epoch())
                 .count());
}

inline u32 run_of_lanes(Block& block, BlockBarrier& barrier, unsigned lane, unsigned lanes,
                        bool yes) {
  block.votes[lane] = yes;
  barrier.wait();
  u32 count = 0;
  while (count < lanes && block.votes[count]) ++count;
  barrier.wait();
  return count;
}

class FakeEnv {
 public:
  using Words = HostWords;
  static constexpr u32 kLanes = 32;  // all threads of a block here
  static constexpr i64 kFirstIndices = 16;
  FakeEnv(Block& block, unsigned thread) : block_(block), thread_(thread) {}
  virtual ~FakeEnv() = default;

  bool leader() const { return thread_ == 0; }
  u32 thread() const { return thread_; }
  u32 threads() const { return block_.threads; }
  void sync() const { block_.barrier.wait(); }
  Batch& batch() { return block_.batch; }
  CallFrame& frame() { return block_.frame; }
  u64 now() const {
    while (hung && fault.load() == 0) std::this_thread::yield();
    if (fault.load() != 0) throw Killed{};
    return global_timer();
  }
  void beat(RingView& ring) {
    if (leader()) Words::store_relaxed_sys(ring.control->beat.value, ++beats_);
  }
  void idle(const EngineView& engine, RingView& ring, u64 epoch, u64, u64 started,
            u64 quiet_since) {
    check_deadlines<Words>(engine, ring, epoch, now(), started, quiet_since);
    std::this_thread::yield();
  }
  u32 run_of(bool yes) const {
    return run_of_lanes(block_, block_.barrier, thread_, block_.threads, yes);
  }
  bool attends(u32 count) { return count == 0 || ++block_.rounds % 4 == 0; }
  Answer compute(const EngineView& engine, RingView& ring, const Slot& message, u8* page) {
    return Compute::run(*this, engine, ring, message, page);
  }
  Answer run_program(const EngineView& engine, RingView& ring, const Slot& message, u8* page,
                     const Turn& turn) {
    return RunProgram::run(*this, engine, ring, message, page, turn);
  }
  const u64* gather(const u64* page, u64 count) const {
    u64* const words = reinterpret_cast<u64*>(block_.scratch);
    for (u64 w = thread_; w < count; w += block_.threads) words[w] = page[w];
    sync();
    return words;
  }
  // Kernels are the host's functions, written for one thread.
  virtual int call(const KernelEntry& kernel, const Arguments& frame, i64 begin, i64 end) const {
    if (kernel.code == 0) return kNotInImage;  // a user's: only a GPU could run it
    if (!leader()) return 0;
    reinterpret_cast<gpures_kernel>(kernel.code)(
        frame.data, frame.sizes, frame.shapes, frame.params, frame.space, begin, end, frame.fault);
    return 0;
  }
  void look(const EngineView& engine, RingView& ring, u64 epoch, u64 started, u64) {
    if (ring.index == 0 && block_.lanes == 0) mirror_host_words<Words>(engine, epoch);
    if (now() - started > engine.lease_ticks) tell_leave<Words>(engine, epoch);
  }

 protected:
  Block& block_;

 private:
  const unsigned thread_;
  u64 beats_ = 0;
};

class FakeApartEnv : public FakeEnv {
 public:
  using FakeEnv::FakeEnv;
  static constexpr bool kPollsApart = true;
  Fetched& fetched() const { return block_.fetched; }
  void relax() const { std::this_thread::yield(); }
};

class FakePollerEnv {
 public:
  using Words = HostWords;
  static constexpr u32 kLanes = 32;
  static constexpr bool kPollsApart = true;
  FakePollerEnv(Block& block, unsigned lane) : block_(block), lane_(lane) {}

  bool leader() const { return lane_ == 0; }
  u32 thread() const { return lane_; }
  u32 run_of(bool yes) const {
    if (fault.load() != 0) throw Killed{};
    return run_of_lanes(block_, block_.lanes_barrier, lane_, block_.lanes, yes);
  }
  void sync_lanes() const { block_.lanes_barrier.wait(); }
  bool attends(u32 count) { return count == 0 || ++block_.rounds % 4 == 0; }
  Fetched& fetched() const { return block_.fetched; }
  void relax() const { std::this_thread::yield(); }

 private:
  Block& block_;
  const unsigned lane_;
};

}  // namespace fake
