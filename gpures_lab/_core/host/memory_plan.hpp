// What an engine needs before its first launch: how much memory of which kind. The host driver's
// engine takes it from mappings; another driver's is handed addresses, and never allocates.
#pragma once

#include "shared/layout.hpp"

namespace gpures {

// Table sizes. They bound live handles and blocks, not grains.
struct Capacities {
  u64 handles, blocks, kernels;
  u32 staging_chunks;
};
// Address space costs nothing on the host: pages are committed when messages touch them.
inline constexpr Capacities kHostCapacities{u64{1} << 22, u64{1} << 22, u64{1} << 20, 64};
// Device and pinned memory is taken for good: about 13 and 110 MiB with 16 rings of 1,024 slots.
inline constexpr Capacities kDeviceCapacities{u64{1} << 18, u64{1} << 18, u64{1} << 13, 32};

// All zeroed [R5], aligned to 4,096 bytes, one address for host and workers.
struct EngineMemory {
  u8* shared;   // rings and control words: both sides
  u8* tables;   // host-written, the workers only read
  u8* staging;  // chunks of large transfers
  u8* worker;   // the workers' own and the faults of plain launches: no host code may touch it
  u8* mirror;   // a device's kernel table as the host writes it; both null on the host
  u8* kernels;  // and as its workers read it
};
struct MemoryBytes {
  u64 shared, tables, staging, worker, mirror, kernels;
};

// A device's kernel table: pointers by id, then entries by id.
inline u64 kernel_table_bytes(u64 kernels) {
  return kernels * (sizeof(KernelEntry*) + sizeof(KernelEntry));
}

MemoryBytes plan_memory(u64 slots, u32 rings, const Capacities& capacities);

// Points `view` into the memory, writes the rings' views into its shared part and returns them.
// `view.kernels` is left alone.
RingView* lay_out(const EngineMemory& memory, u64 slots, u32 rings, const Capacities& capacities,
                  EngineView& view);

}  // namespace gpures
