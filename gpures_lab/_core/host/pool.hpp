// The memory pool: blocks by size class, exact reuse, least recently used idle blocks evicted
// under a byte limit. Rent and return never touch the device.
//
// A returned block may be rented again by the same ring at once (its Release lies in a slot before
// the Allocate that follows); by another ring, or evicted, only after the Release has completed.
#pragma once

#include <atomic>
#include <mutex>
#include <vector>

#include "host/arena.hpp"
#include "shared/layout.hpp"

namespace gpures {

inline constexpr u32 kNone = 0xffffffffu;

u64 class_bytes(u64 bytes);  // size of the block that serves a request of `bytes`
u32 class_index(u64 bytes);

struct PoolCounts {
  u64 used_bytes = 0, idle_bytes = 0, limit_bytes = 0, high_water_bytes = 0;
  u64 hits = 0, misses = 0, evictions = 0, exported = 0;
};

class Pool {
 public:
  struct Rented {
    u32 block = kNone;  // kNone: exhausted, or `wait` says a Release has to complete first
    bool wait = false;
    bool clean = false;  // the block is zero already
    bool own = false;    // last belonged to the same grain
    u64 grow = 0;        // no block: the arena wants so many bytes more, see add_memory()
  };

  // `answered[r]`: positions below it of ring r have been taken by the host.
  // `grows`: takes memory from the host by itself.
  Pool(u64 limit_bytes, BlockEntry* table, u64 capacity, const std::atomic<u64>* answered,
       bool grows = true);
  void set_table(BlockEntry* table) { table_ = table; }
  void add_memory(u32 arena, u8* base, u64 bytes);

  // `settled`: not even a Release of the same ring may be under way, for the block is used beside
  // the ring.
  Rented rent(u64 bytes, u32 ring, u32 grain, u32 arena, bool settled = false);
  // The Release lies in ring `ring` at `position`.
  void give_back(u32 block, u32 ring, u64 position);
  // Rented, but no Allocate was posted.
  void give_back_unused(u32 block);
  // A view outlives its block: not reused before the last one goes. Any thread.
  void hold_export(u32 block);
  void drop_export(u32 block);
  bool is_exported(u32 block) const;

  PoolCounts counts() const;
  // Serial numbers of evicted blocks since the last call, oldest first, while recording is on.
  void record_evictions(bool on);
  std::vector<u64> take_evictions();
  u64 serial(u32 block) const { return blocks_[block].serial; }
  u64 block_bytes(u32 block) const { return blocks_[block].bytes; }
  u8* base(u32 block) const { return blocks_[block].base; }
  u32 arena_of(u32 block) const { return blocks_[block].arena; }
  void abandon();

 private:
  struct Block {
    u8* base = nullptr;
    u64 bytes = 0;
    u64 serial = 0;    // never reused, unlike the index
    u64 position = 0;  // of its Release, valid while idle
    u32 ring = 0, grain = kNone;
    u32 older = kNone, newer = kNone;  // all idle blocks, by return
    u32 below = kNone, above = kNone;  // idle blocks of the class, newest on top
    u32 exports = 0;
    u32 klass = 0;
    u8 arena = 0;
    bool idle = false;
    bool parked = false;  // given back while exported
  };

  static constexpr u32 kClasses = 400;
  static constexpr u32 kArenas = 2;  // device, pinned

  bool reusable(const Block& block, u32 ring) const;
  void link(u32 index);
  void unlink(u32 index);
  bool evict_one();
  void make_idle(u32 index);

  mutable std::mutex mutex_;
  std::vector<Block> blocks_;
  std::vector<u32> spare_;  // block indices whose memory went back to the arena
  u32 top_[kArenas][kClasses];
  u32 oldest_ = kNone, newest_ = kNone;
  Arena arenas_[kArenas];
  PoolCounts counts_;
  BlockEntry* table_;
  u64 capacity_;
  const std::atomic<u64>* answered_;
  bool recording_ = false;
  std::vector<u64> evicted_;
  u64 serials_ = 0;
};

}  // namespace gpures
