// The ring kernel: the same serve loop as the host worker, one block a ring.
// Compiled by NVRTC; needs no header but its own.
#include "device/block.hpp"
#include "device/clock.hpp"
#include "serve.hpp"

// Generated for each image (gpures_lab/kernels/cuda/dispatch.py): a switch over kernel ids.
extern "C" __device__ int gpures_dispatch(gpures::u32 kernel, gpures::Arguments arguments,
                                          gpures::i64 begin, gpures::i64 end,
                                          gpures::DeviceBlock block);

namespace gpures {

struct DeviceTime {
  static __device__ u64 ns() {
    u64 value;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(value));
    return value;
  }
  static __device__ u64 cycles() { return u64(clock64()); }
};

// What a block shares, beside what the kernel that runs uses. The leader's, but for `batch` and
// `frame`.
struct BlockMemory {
  Batch batch;
#if GPURES_POLLER_WARP
  Fetched fetched;
  u32 poller_rounds;
#endif
  CallFrame frame;
  BlockClock<DeviceTime> clock;
  Glances glances;
  u64 beats;
  u32 rounds;
  RingView ring;  // not a copy a thread: 14 registers that live across every call
  alignas(16) u8 scratch[kScratchBytes];  // of whichever kernel runs
};

#if GPURES_POLLER_WARP
// Nine warps twice would leave 96 registers a thread, and the serve loop spills some 150 bytes.
inline constexpr u32 kPollerThreads = 32, kRingsEach = 1;
#else
inline constexpr u32 kPollerThreads = 0, kRingsEach = 2;
#endif

// How many lanes of a warp, all of it, say yes in a row from the first.
__device__ u32 run_of_lanes(bool yes) {
  const u32 no = ~__ballot_sync(0xffffffffu, yes);
  return no == 0 ? 32 : u32(__ffs(int(no))) - 1;
}

#if GPURES_LOOK_AHEAD
#define GPURES_LOOKS static constexpr bool kLooksAhead = true;
#else
#define GPURES_LOOKS
#endif

// Not inlined: what they keep across a call to a kernel is saved here, not in the serve loop.
__device__ __noinline__ Answer compute_apart(const EngineView& engine, BlockMemory& memory,
                                             const Slot& message, u8* page);
__device__ __noinline__ Answer run_program_apart(const EngineView& engine, BlockMemory& memory,
                                                 const Slot& message, u8* page, u64 position,
                                                 u64 epoch);

struct DeviceEnv {
  using Words = DeviceWords;
  static constexpr u32 kLanes = 32;
  GPURES_LOOKS
#if GPURES_POLLER_WARP
  static constexpr bool kPollsApart = true;
  __device__ Fetched& fetched() { return memory.fetched; }
  __device__ void relax() const {}
#endif
  // Rounds between two looks at the host's words: of idle ones, which are a look at a slot each,
  // and of busy ones. A park is noticed some 10 us late.
  static constexpr u32 kIdleRounds = 8, kBusyRounds = 16;

  BlockMemory& memory;

  static constexpr i64 kFirstIndices = kBlockThreads;  // fewer would leave threads idle

  __device__ bool leader() const { return threadIdx.x == 0; }
  __device__ u32 thread() const { return threadIdx.x; }
  // Not kBlockThreads: with a constant, loops are unrolled, which takes 18 registers more.
  __device__ u32 threads() const { return blockDim.x - kPollerThreads; }
  __device__ void sync() const { sync_block(); }
  __device__ Batch& batch() { return memory.batch; }
  __device__ CallFrame& frame() { return memory.frame; }
  __device__ u64 now() { return leader() ? memory.clock.now() : 0; }
  __device__ void beat(RingView& ring) {
    if (leader()) Words::store_relaxed_sys(ring.control->beat.value, ++memory.beats);
  }
  // The first warp.
  __device__ u32 run_of(bool yes) const { return run_of_lanes(yes); }
  __device__ bool attends(u32 count) {
    memory.rounds += count == 0 ? kBusyRounds / kIdleRounds : 1;
    if (memory.rounds < kBusyRounds) return false;
    memory.rounds = 0;
    return true;
  }
  __device__ void idle(const EngineView& engine, RingView& ring, u64 epoch, u64, u64 started,
                       u64 quiet_since) {
    check_deadlines<Words>(engine, ring, epoch, now(), started, quiet_since);
  }
  __device__ int call(const KernelEntry& kernel, const Arguments& arguments, i64 begin, i64 end) {
    return gpures_dispatch(kernel.id, arguments, begin, end,
                           DeviceBlock(threadIdx.x, threads(), memory.scratch));
  }
  __device__ Answer compute(const EngineView& engine, RingView&, const Slot& message, u8* page) {
    return compute_apart(engine, memory, message, page);
  }
  __device__ Answer run_program(const EngineView& engine, RingView&, const Slot& message, u8* page,
                                const Turn& turn) {
    return run_program_apart(engine, memory, message, page, turn.position, turn.epoch);
  }
  // Words of a page, into the scratch area of the kernel that is not running yet.
  __device__ const u64* gather(const u64* page, u64 count) {
    u64* const words = reinterpret_cast<u64*>(memory.scratch);
    for (u64 w = thread(); w < count; w += threads()) words[w] = page[w];
    sync();
    return words;
  }
  // Between the steps of a program: loads across the bus, so only now and then.
  __device__ void look(const EngineView& engine, RingView& ring, u64 epoch, u64 started, u64 step) {
    if (!memory.glances.due(step, u32(clock()))) return;
#if !GPURES_POLLER_WARP  // which reads them all the time
    if (ring.index == 0) mirror_host_words<Words>(engine, epoch);
#endif
    if (now() - started > engine.lease_ticks) tell_leave<Words>(engine, epoch);
  }
};

__device__ Answer compute_apart(const EngineView& engine, BlockMemory& memory, const Slot& message,
                                u8* page) {
  DeviceEnv env{memory};
  return Compute::run(env, engine, memory.ring, message, page);
}

__device__ Answer run_program_apart(const EngineView& engine, BlockMemory& memory,
                                    const Slot& message, u8* page, u64 position, u64 epoch) {
  DeviceEnv env{memory};
  return RunProgram::run(env, engine, memory.ring, message, page,
                         Turn{position, epoch, memory.batch.started, memory.batch.taken});
}

#if GPURES_POLLER_WARP
// The ninth warp. It shares no barrier with the block until the launch is over.
struct PollerEnv {
  using Words = DeviceWords;
  static constexpr u32 kLanes = 32;
  GPURES_LOOKS
  static constexpr bool kPollsApart = true;

  BlockMemory& memory;

  __device__ bool leader() const { return thread() == 0; }
  __device__ u32 thread() const { return threadIdx.x - kBlockThreads; }
  __device__ u32 run_of(bool yes) const { return run_of_lanes(yes); }
  __device__ void sync_lanes() const { __syncwarp(); }
  __device__ Fetched& fetched() { return memory.fetched; }
  __device__ void relax() const {}
  __device__ bool attends(u32 count) {
    memory.poller_rounds += count == 0 ? DeviceEnv::kBusyRounds / DeviceEnv::kIdleRounds : 1;
    if (memory.poller_rounds < DeviceEnv::kBusyRounds) return false;
    memory.poller_rounds = 0;
    return true;
  }
};
#endif

}  // namespace gpures

// Two blocks an SM leave 128 registers a thread, which the serve loop with the first library
// kernels needs. A function that is called saves the registers that it uses.
extern "C" __global__ void __launch_bounds__(gpures::kBlockThreads + gpures::kPollerThreads,
                                             gpures::kRingsEach)
    gpures_ring_kernel(const __grid_constant__ gpures::EngineView engine, gpures::RingView* rings,
                       gpures::u64 epoch, gpures::u64 expected_out) {
  using namespace gpures;
  __shared__ BlockMemory memory;
  RingView& ring = memory.ring;
  if (threadIdx.x == 0) {
    ring = rings[blockIdx.x];
    memory.clock.start();
    memory.glances.start(u32(clock()));
    memory.beats = 0;
    memory.rounds = DeviceEnv::kBusyRounds;  // the first look at a slot is one at the host's words
#if GPURES_POLLER_WARP
    memory.fetched.put = memory.fetched.empty = memory.fetched.done = memory.fetched.over = 0;
    memory.poller_rounds = DeviceEnv::kBusyRounds;
#endif
  }
  __syncthreads();
  DeviceEnv env{memory};
#if GPURES_POLLER_WARP
  if (threadIdx.x >= kBlockThreads) {
    PollerEnv poller{memory};
    fetch(poller, engine, ring, epoch);
  } else {
    serve(env, engine, ring, epoch);
    if (env.leader()) DeviceWords::store_release_block(memory.fetched.over, 1);
  }
  __syncthreads();  // nothing of this launch looks at a slot once it has said that it is out
#else
  serve(env, engine, ring, epoch);
#endif
  if (env.leader()) count_out<DeviceWords>(engine, expected_out, epoch);
}
