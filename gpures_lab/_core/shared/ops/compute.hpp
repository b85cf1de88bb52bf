// Compute: check the message against the kernel's table entry and the handle table, then call the
// kernel slice by slice, so that `stop` is noticed and `beat` moves. [R6][R10]
#pragma once

#include "../kernel_abi.hpp"
#include "../leave.hpp"
#include "../tables.hpp"
#include "../take.hpp"
#include "answer.hpp"

namespace gpures {

// Room for one call's arguments. In the block's shared memory on the device.
struct CallFrame {
  void* data[kMaxArrays];
  i64 sizes[kMaxArrays];
  i64 shapes[kPageWords];
  u64 params[kMaxParamWords];
  i64 space[kMaxIndices];
  i64 fault[kFaultWords];
  u64 stop;
  i64 step;   // outer indices of the next slice
  u64 since;  // when the one before began
  u8* page;
  u64 failed;     // the step of a program that could not be bound
  Status status;  // of binding, which is the leader's work

  GPURES_HD Arguments arguments() { return {data, sizes, shapes, params, space, fault}; }
  GPURES_HD void clear_fault() {
    for (int w = 0; w < kFaultWords; ++w) fault[w] = 0;
  }
};

struct Compute {
  static constexpr Opcode kOpcode = Opcode::kCompute;
  static constexpr i64 kMaxElements = i64{1} << 60;  // products below stay far from overflow
  // Indices without a loop are cheap, and a slice has a cost of its own: 42 ns, which 64 slices of
  // a 256 x 256 stencil pay again and again (1.32 x one fused loop; 1.0x with one slice).
  static constexpr i64 kStraightSlice = 65536;

  template <class Env>
  GPURES_HD static Answer run(Env& env, const EngineView& engine, RingView& ring, const Slot& slot,
                              u8* page) {
    const auto& message = payload_of<ComputeMessage>(slot);
    const KernelEntry* kernel;
    const u64* words;
    const Status known =
        find(engine, message, reinterpret_cast<const u64*>(page), kPageWords, kernel, words);
    if (known != Status::kOk) return {known};
    if (message.in_page) words = at_hand(env, words, word_count(*kernel));
    CallFrame& frame = env.frame();
    const Arguments arguments = frame.arguments();
    if (env.leader()) {
      frame.status = bind(engine, *kernel, message, words, slot.grain, arguments);
      frame.clear_fault();
    }
    env.sync();  // no thread may note a fault before they are cleared
    if (frame.status != Status::kOk) return {frame.status};
    return call(env, engine, ring, *kernel, arguments, page);
  }

  // Words of a page. A block takes them across the bus all at once: read one after the other, each
  // would be a trip.
  template <class Env>
  GPURES_HD static const u64* at_hand(Env& env, const u64* page, u64 count) {
    if constexpr (kTogether<Env>) {
      return env.gather(page, count);
    } else {
      return page;
    }
  }

  GPURES_HD static u32 word_count(const KernelEntry& kernel) {
    return u32(kernel.indices) - 1 + kernel.arrays + kernel.param_words + kernel.shape_words;
  }

  // The kernel, and the message's argument words: in the message, or `page_words` in its page.
  GPURES_HD static Status find(const EngineView& engine, const ComputeMessage& message,
                               const u64* page, u64 page_words, const KernelEntry*& kernel,
                               const u64*& words) {
    if (message.kernel >= engine.kernel_capacity) return Status::kUnknownKernel;
    kernel = engine.kernels[message.kernel];
    if (kernel == nullptr) return Status::kUnknownKernel;
    if (message.arrays != kernel->arrays || message.param_words != kernel->param_words ||
        message.indices != kernel->indices) {
      return Status::kBadMessage;
    }
    if (word_count(*kernel) > (message.in_page ? page_words : kInlineWords)) {
      return Status::kBadMessage;
    }
    words = message.in_page ? page : message.words;
    return Status::kOk;
  }

  // Shape words that bind() writes: one for each array of less than two dimensions.
  GPURES_HD static u32 shape_count(const KernelEntry& kernel) {
    u32 count = kernel.shape_words;
    for (u32 a = 0; a < kernel.arrays; ++a) count += kernel.array[a].ndim < 2;
    return count;
  }

  GPURES_HD static Status bind(const EngineView& engine, const KernelEntry& kernel,
                               const ComputeMessage& message, const u64* words, u32 grain,
                               const Arguments& frame) {
    return bind_found(kernel, message, words, frame,
                      [&](u64 handle) { return resolve(engine, handle, grain); });
  }

  // `find(handle)`: in the worker's table, or in the host's own for a plain launch.
  template <class Find>
  GPURES_HD static Status bind_found(const KernelEntry& kernel, const ComputeMessage& message,
                                     const u64* words, const Arguments& frame, const Find& find) {
    frame.space[0] = i64(message.n);
    for (u32 d = 1; d < kernel.indices; ++d) frame.space[d] = i64(*words++);
    i64 total = 1;
    for (u32 d = 0; d < kernel.indices; ++d) {
      if (!multiply(total, frame.space[d])) return Status::kBadMessage;
    }
    const u64* handles = words;
    words += kernel.arrays;
    for (u32 p = 0; p < kernel.param_words; ++p) frame.params[p] = *words++;
    i64* shapes = frame.shapes;
    for (u32 a = 0; a < kernel.arrays; ++a) {
      const KernelArray& array = kernel.array[a];
      const Resolved found = find(handles[a]);
      if (found.status != Status::kOk) return found.status;
      const i64 size = i64(found.entry->bytes / array.item_bytes);
      if (array.rule == kAtLeastOne && size < 1) return Status::kOutOfBounds;
      if (array.rule == kOnlyOne && size != 1) return Status::kOutOfBounds;
      if (array.ndim < 2) {
        if (array.rule == kAtLeastN && size < total) return Status::kOutOfBounds;
        *shapes++ = size;
      } else {
        i64 elements = 1;
        for (u32 d = 0; d < array.ndim; ++d) {
          const i64 extent = i64(*words++);
          if (!multiply(elements, extent)) return Status::kBadMessage;
          if (array.rule == kAtLeastN && array.ndim == kernel.indices && frame.space[d] > extent) {
            return Status::kOutOfBounds;
          }
          *shapes++ = extent;
        }
        if (elements > size) return Status::kBadMessage;
        if (array.rule == kAtLeastN && array.ndim != kernel.indices && elements < total) {
          return Status::kOutOfBounds;
        }
      }
      frame.data[a] = reinterpret_cast<void*>(found.entry->base);
      frame.sizes[a] = size;
    }
    return Status::kOk;
  }

  GPURES_HD static bool multiply(i64& product, i64 extent) {
    if (extent < 0 || (extent > 0 && product > kMaxElements / extent)) return false;
    product *= extent;
    return true;
  }

  // An index with a loop in it may take anything from nanoseconds to seconds.
  GPURES_HD static bool varies(const KernelEntry& kernel) {
    return (kernel.flags & kKernelUser) && !(kernel.flags & (kKernelStraight | kKernelWhole));
  }

  // Outer indices of one slice at most: between two of them the worker looks at `stop`. [R6]
  GPURES_HD static i64 slice(const KernelEntry& kernel, const i64* space) {
    if (kernel.flags & kKernelWhole) return space[0];
    return at_least_one(varies(kernel) ? i64(kSliceIndices) : kStraightSlice, kernel, space);
  }

  // Of the first one: where indices vary it is short, and its time says how long others may be.
  template <class Env>
  GPURES_HD static i64 first_slice(const KernelEntry& kernel, const i64* space) {
    if (!varies(kernel)) return slice(kernel, space);
    return at_least_one(Env::kFirstIndices, kernel, space);
  }

  GPURES_HD static i64 at_least_one(i64 indices, const KernelEntry& kernel, const i64* space) {
    i64 inner = 1;
    for (u32 d = 1; d < kernel.indices; ++d) inner *= space[d];
    if (inner <= 1) return indices;
    return indices / inner > 0 ? indices / inner : 1;
  }

  template <class Env>
  GPURES_HD static Answer call(Env& env, const EngineView& engine, RingView& ring,
                               const KernelEntry& kernel, const Arguments& frame, u8* page) {
    i64 step = first_slice<Env>(kernel, frame.space);
    return call(env, engine, ring, kernel, frame, page, step);
  }

  // `step` is the first slice's size, and afterwards what the last one had.
  template <class Env>
  GPURES_HD static Answer call(Env& env, const EngineView& engine, RingView& ring,
                               const KernelEntry& kernel, const Arguments& frame, u8* page,
                               i64& step) {
    i64 begin = 0;
    if (frame.space[0] > step) {
      // What lives across a call to a kernel is the block's, not each thread's: on a device those
      // registers are what the serve loop would spill.
      CallFrame& own = env.frame();
      if (env.leader()) {
        own.step = step;
        own.since = varies(kernel) ? env.now() : 0;
      }
      env.sync();
      while (frame.space[0] - begin > own.step) {
        const int signal = env.call(kernel, frame, begin, begin + own.step);
        if (signal != 0) return failed(signal);
        begin += own.step;
        env.sync();
        env.beat(ring);
        // One thread asks, so that the block ends together or goes on together.
        if (env.leader()) {
          own.stop = must_stop<typename Env::Words>(engine, ring);
          const i64 most = slice(kernel, frame.space);
          if (own.step < most) {
            const u64 now = env.now();
            own.step = fitting(own.step, now - own.since, engine.lease_ticks, most);
            own.since = now;
          }
        }
        env.sync();
        if (own.stop != 0) return {Status::kCancelled};
      }
      step = own.step;
    }
    return call_last(env, kernel, frame, begin, page);
  }

  // As many indices as take a quarter of the lease if `done` of them took `ticks`.
  GPURES_HD static i64 fitting(i64 done, u64 ticks, u64 lease, i64 most) {
    // As floats: two 64-bit divisions on a device take registers that the ring has not got.
    const float fit = float(lease / 4) / (float(ticks) / float(done) + 1);
    if (fit >= float(most)) return most;
    return fit > 1 ? i64(fit) : 1;
  }

  GPURES_HD static Answer failed(int signal) {
    if (signal == kNotInImage) return {Status::kUnknownKernel};
    return {Status::kKernelFault, 0, u64(signal)};
  }

  // The last slice, once even for an empty space: a reduction starts at its init.
  template <class Env>
  GPURES_HD static Answer call_last(Env& env, const KernelEntry& kernel, const Arguments& frame,
                                    i64 begin, u8* page) {
    if (env.leader()) env.frame().page = page;  // not a register of every thread's
    const int signal = env.call(kernel, frame, begin, frame.space[0]);
    if (signal != 0) return failed(signal);
    env.sync();  // every thread's faults are in
    if (frame.fault[0] != 0) {
      if (env.leader()) {
        i64* detail = reinterpret_cast<i64*>(env.frame().page);
        for (int w = 0; w < kFaultWords; ++w) detail[w] = frame.fault[w];
        detail[5] = kernel.id;  // a batch's rows have a kernel each; a program writes its own
      }
      return {Status::kOutOfBounds, kFaultWords * 8, 0};
    }
    return {};
  }
};

}  // namespace gpures
