// Work of the whole device, on a stream beside the ring: a plain launch of a kernel (the wide
// path), a copy by DMA, a fill. It is no message: the host puts it into its grain's order by
// holding the grain's later messages back until it has ended. [R11]
#pragma once

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "host/pool.hpp"
#include "shared/kernel_abi.hpp"
#include "shared/layout.hpp"
#include "shared/wide_plan.hpp"

namespace gpures {

// A device's streams: launches and fills, copies to it, copies from it. A grain's next work goes on
// another stream only when those before it have ended.
inline constexpr u32 kStreams = 3;
inline constexpr u32 kSlotsEach = 32;                     // works under way at once on one stream
inline constexpr u32 kWorkSlots = kStreams * kSlotsEach;  // slot s: stream s / kSlotsEach
inline constexpr u64 kNeverBytes = ~u64{0};               // a threshold that nothing reaches
inline constexpr u32 kUsersStream = kStreams;             // none of ours: nothing follows at once

// A block of the pool that is nobody's array: given back when the work is gone, whichever way.
class Scratch {
 public:
  Scratch() = default;
  Scratch(Pool& pool, u32 block) : pool_(&pool), block_(block) {}
  Scratch(Scratch&& other) noexcept : pool_(std::exchange(other.pool_, nullptr)) {
    block_ = other.block_;
  }
  Scratch& operator=(Scratch&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(block_, other.block_);
    return *this;
  }
  ~Scratch() {
    if (pool_) pool_->give_back_unused(block_);
  }

 private:
  Pool* pool_ = nullptr;
  u32 block_ = kNone;
};

enum class WorkKind : u8 { kLaunch, kFill, kCopyIn, kCopyOut };

inline u32 stream_of(WorkKind kind) {
  return kind == WorkKind::kCopyIn ? 1 : kind == WorkKind::kCopyOut ? 2 : 0;
}

struct StreamWork {
  // `alive` counts the work from here to its end, whichever end that is.
  StreamWork(WorkKind kind, std::atomic<u64>& alive, u64 posted)
      : kind(kind), posted(posted), alive_(alive) {
    alive_.fetch_add(1);
  }
  ~StreamWork() { alive_.fetch_sub(1); }
  StreamWork(const StreamWork&) = delete;

  const WorkKind kind;
  const u64 posted;  // ticks
  // kCopyIn, kCopyOut; kFill: `to` and `bytes`, elements of 1, 2, 4, 8 or 16 bytes
  // each `value`.
  u64 to = 0, from = 0, bytes = 0;
  u32 element = 1;
  u32 value[4] = {};
  // kLaunch: the words of WideCall (shared/device/kernel.hpp); the driver sets the last
  // four: where it says that it has begun, what, the pass, and the address of the fault words.
  u32 kernel = 0;
  u64 indices = 0;
  bool is_message = true;  // false: part of one that is counted already (zeroing)
  bool may_fault = false;  // it checks subscripts, or may crash on the host
  std::vector<u64> words;
  WidePlan plan;  // no passes: one launch does
  Scratch scratch;

 private:
  std::atomic<u64>& alive_;
};

struct WorkResult {
  Status status = Status::kOk;
  u64 value = 0;
  u64 service_ns = 0;
  u64 begun = 0;  // ticks; 0 where no clock of the host saw it
  i64 fault[kFaultWords] = {};
};

struct alignas(64) WorkFault {
  i64 words[kFaultWords];
};

// Where the parts of a WideCall begin in its words.
struct WideLayout {
  u32 sizes, shapes, params, space, begin, memory, begun, mark, pass, fault, words;
  WideLayout(u32 arrays, u32 shape_words, u32 param_words)
      : sizes(arrays),
        shapes(2 * arrays),
        params(shapes + shape_words),
        space(params + (param_words ? param_words : 1)),
        begin(space + kMaxIndices),
        memory(begin + 2),
        begun(memory + 1),
        mark(begun + 1),
        pass(mark + 1),
        fault(pass + 1),
        words(fault + 1) {}
};

}  // namespace gpures
