#include "host/memory_plan.hpp"

#include "host/stream_work.hpp"

namespace gpures {

namespace {

constexpr u64 kPage = 4096;

// Counts with a null base, carves with a real one.
class Carver {
 public:
  explicit Carver(u8* base) : base_(base) {}
  template <class T>
  T* take(u64 count) {
    u8* at = base_ ? base_ + used_ : nullptr;
    used_ += (count * sizeof(T) + kPage - 1) / kPage * kPage;
    return reinterpret_cast<T*>(at);
  }
  u64 used() const { return used_; }

 private:
  u8* base_;
  u64 used_ = 0;
};

MemoryBytes carve(const EngineMemory& memory, u64 slots, u32 rings, const Capacities& capacities,
                  EngineView& view, RingView*& ring_views) {
  Carver shared(memory.shared), worker(memory.worker), tables(memory.tables);
  view.control = shared.take<EngineControl>(1);
  ring_views = shared.take<RingView>(rings);
  view.shared = worker.take<WorkerShared>(1);
  view.states = worker.take<RingState>(rings);
  view.handles = worker.take<HandleEntry>(capacities.handles);
  view.holders = worker.take<u64>(capacities.blocks);
  view.work_faults = worker.take<WorkFault>(kWorkSlots);
  view.seen_faults = shared.take<WorkFault>(kWorkSlots);
  view.begun_works = shared.take<Word>(kWorkSlots);
  view.blocks = tables.take<BlockEntry>(capacities.blocks);
  view.staging = memory.staging;
  view.handle_capacity = capacities.handles;
  view.block_capacity = capacities.blocks;
  view.kernel_capacity = capacities.kernels;
  view.staging_chunks = capacities.staging_chunks;
  for (u32 r = 0; r < rings; ++r) {
    RingView ring{};
    ring.slots = shared.take<Slot>(slots);
    ring.pages = shared.take<u8>(slots * kPageBytes);
    ring.completions = shared.take<CompletionEntry>(slots);
    ring.control = shared.take<RingControl>(1);
    ring.state = view.states ? view.states + r : nullptr;
    ring.slot_count = slots;
    ring.index = r;
    if (ring_views) ring_views[r] = ring;
  }
  const u64 table = kernel_table_bytes(capacities.kernels);
  return {shared.used(), tables.used(), capacities.staging_chunks * kStagingChunkBytes,
          worker.used(), table,         table};
}

}  // namespace

MemoryBytes plan_memory(u64 slots, u32 rings, const Capacities& capacities) {
  EngineView view{};
  RingView* ring_views;
  return carve({}, slots, rings, capacities, view, ring_views);
}

RingView* lay_out(const EngineMemory& memory, u64 slots, u32 rings, const Capacities& capacities,
                  EngineView& view) {
  RingView* ring_views;
  carve(memory, slots, rings, capacities, view, ring_views);
  return ring_views;
}

}  // namespace gpures
