// Calls that go on the stream beside the ring: a plain launch over the whole device, DMA, a fill.
#include <cstring>

#include "python/objects.hpp"
#include "shared/ops/compute.hpp"

namespace gpures::python {

bool post_work_or_raise(GrainObject* grain, Outgoing& message, std::unique_ptr<StreamWork> work) {
  Engine& engine = *grain->engine;
  RingHost& ring = grain->core->ring;
  drain_graveyard(engine);
  if (engine.not_started()) engine.start();
  const Unlocked::Allowed allowed;
  u64 since = 0;
  for (;;) {
    const Post posted = ring.post_work(*grain->core, message, work);
    if (posted == Post::kHeld) return true;
    if (!wait_for_room(grain, posted, since)) return false;
  }
}

// What the worker would refuse is refused here, by the same check: the addresses come from the
// pool, for the handles of the call are live and this grain's. [R10]
std::unique_ptr<StreamWork> wide_work(Engine& engine, const Variant& variant, const Call& call,
                                      const ComputeMessage& message, const u64* words,
                                      Status& status) {
  const KernelEntry& kernel = variant.entry;
  auto work = engine.new_work(WorkKind::kLaunch);
  const WideLayout at(kernel.arrays, Compute::shape_count(kernel), kernel.param_words);
  work->kernel = variant.id;
  work->may_fault = !(kernel.flags & kKernelMap) || (kernel.flags & kKernelMayFault);
  work->words.assign(at.words, 0);
  u64* const to = work->words.data();
  const Arguments frame{
      reinterpret_cast<void**>(to),           reinterpret_cast<i64*>(to + at.sizes),
      reinterpret_cast<i64*>(to + at.shapes), to + at.params,
      reinterpret_cast<i64*>(to + at.space),  nullptr};
  HandleEntry entry{};
  status = Compute::bind_found(kernel, message, words, frame, [&](u64 handle) {
    for (u32 a = 0; a < call.count; ++a) {
      const ResidentArrayObject* array = call.arrays[a];
      if (array->handle != handle) continue;
      entry.base = reinterpret_cast<u64>(engine.pool->base(array->block));
      entry.bytes = array->nbytes;
      return Resolved{Status::kOk, &entry};
    }
    return Resolved{Status::kStaleHandle, nullptr};
  });
  work->indices = 1;
  for (u32 d = 0; d < kernel.indices; ++d) work->indices *= to[at.space + d];
  to[at.begin + 1] = to[at.space];
  return work;
}

// A call in passes gets its plan and the memory that the passes hand things on in.
Passes plan_passes(GrainObject* grain, const Variant& variant, const Call& call, StreamWork& work) {
  Engine& engine = *grain->engine;
  const WidePlanner planner = engine.planner(variant.id);
  if (!planner) return Passes::kReady;
  const KernelEntry& kernel = variant.entry;
  const WideLayout at(kernel.arrays, Compute::shape_count(kernel), kernel.param_words);
  const i64* const words = reinterpret_cast<const i64*>(work.words.data());
  work.plan = planner(words + at.sizes, words + at.shapes, words + at.space);
  if (work.plan.scratch_bytes == 0) return Passes::kReady;
  const RingHost& ring = grain->core->ring;
  for (;;) {
    const Pool::Rented rented =
        engine.pool->rent(work.plan.scratch_bytes, ring.view.index, grain->core->index, 0, true);
    if (rented.grow == 0) {
      if (rented.block == kNone) return Passes::kNoMemory;
      work.scratch = Scratch(*engine.pool, rented.block);
      work.words[at.memory] = reinterpret_cast<u64>(engine.pool->base(rented.block));
      return Passes::kReady;
    }
    if (!grow_arena(grain, 0, rented.grow)) return Passes::kError;
    // That ran Python: the handles are looked at again.
    for (u32 a = 0; a < call.count; ++a) {
      if (!check_array(grain, reinterpret_cast<PyObject*>(call.arrays[a]))) return Passes::kError;
    }
  }
}

bool goes_wide(const Engine& engine, const Variant& variant, const i64* space) {
  u64 item = 0, indices = 1;
  for (u32 a = 0; a < variant.entry.arrays; ++a) {
    if (variant.entry.array[a].rule < kAtLeastOne) item += variant.entry.array[a].item_bytes;
  }
  for (u32 d = 0; d < variant.entry.indices; ++d) indices *= u64(space[d]);
  return engine.goes_wide(variant.id, indices * item);
}

bool check_in_ring(GrainObject* grain, const Variant& variant) {
  if (!grain->engine->is_wide_only(variant.id)) return true;
  raise_hook("wide_only", "(OI)", grain->manager, variant.id);
  return false;
}

std::unique_ptr<StreamWork> fill_work(Engine& engine, u32 block, u64 offset, u64 bytes,
                                      const void* element, u64 item) {
  auto work = engine.new_work(WorkKind::kFill);
  work->to = reinterpret_cast<u64>(engine.pool->base(block)) + offset;
  work->bytes = bytes;
  work->element = u32(item);
  std::memcpy(work->value, element, item);
  return work;
}

bool fills_wide(const Engine& engine, u32 arena, u64 bytes, u64 item) {
  return bytes > engine.options().wide_above_bytes && arena == 0 &&
         item <= sizeof(StreamWork::value);
}

}  // namespace gpures::python
