// The ring kernel: the same serve loop as the host worker, one block a ring.
// Compiled by NVRTC; needs no header but its own.
#include "device/block.hpp"
#include "serve.hpp"

// Generated for each image (gpures_lab/kernels/cuda/dispatch.py): a switch over kernel ids.
extern "C" __device__ int gpures_dispatch(gpures::u32 kernel, gpures::Arguments arguments,
                                          gpures::i64 begin, gpures::i64 end,
                                          gpures::DeviceBlock block);

namespace gpures {

struct DeviceEnv {
  using Words = DeviceWords;

  Batch* batch_memory;
  CallFrame* frame_memory;
  u8* scratch;
  u64 beats;

  __device__ bool leader() const { return threadIdx.x == 0; }
  __device__ u32 thread() const { return threadIdx.x; }
  __device__ u32 threads() const { return blockDim.x; }
  __device__ void sync() const { __syncthreads(); }
  __device__ Batch& batch() { return *batch_memory; }
  __device__ CallFrame& frame() { return *frame_memory; }
  __device__ u64 now() const {
    u64 ns;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(ns));
    return ns;
  }
  __device__ void beat(RingView& ring) {
    if (leader()) Words::store_relaxed_sys(ring.control->beat.value, ++beats);
  }
  __device__ void idle(const EngineView& engine, RingView& ring, u64 epoch, u64, u64 started,
                       u64 quiet_since) {
    check_deadlines<Words>(engine, ring, epoch, now(), started, quiet_since);
  }
  __device__ int call(const KernelEntry& kernel, const Arguments& arguments, i64 begin, i64 end) {
    return gpures_dispatch(kernel.id, arguments, begin, end,
                           DeviceBlock(threadIdx.x, blockDim.x, scratch));
  }
  // Between the steps of a program: three loads across the bus, so only now and then.
  __device__ void look(const EngineView& engine, RingView& ring, u64 epoch, u64 started, u64 step) {
    if (step % 64 != 0) return;
    if (ring.index == 0) mirror_host_words<Words>(engine, epoch);
    if (now() - started > engine.lease_ticks) tell_leave<Words>(engine, epoch);
  }
};

}  // namespace gpures

// Two blocks an SM leave 128 registers a thread. The serve loop alone and with the first library
// kernels needs no more; around a dispatch of 47 kernels it saves 36 registers on the stack for each
// call (sm_90). One block an SM would be 197 registers and no saving: for a GPU to decide.
extern "C" __global__ void __launch_bounds__(256, 2)
    gpures_ring_kernel(gpures::EngineView engine, gpures::RingView* rings, gpures::u64 epoch,
                       gpures::u64 expected_out) {
  using namespace gpures;
  __shared__ Batch batch;
  __shared__ CallFrame frame;
  __shared__ alignas(16) u8 scratch[kScratchBytes];  // of whichever kernel runs
  __shared__ RingView ring;  // not a copy a thread: 14 registers that live across every call
  if (threadIdx.x == 0) ring = rings[blockIdx.x];
  __syncthreads();
  DeviceEnv env{&batch, &frame, scratch, 0};
  serve(env, engine, ring, epoch);
  if (env.leader()) count_out<DeviceWords>(engine, expected_out, epoch);
}
