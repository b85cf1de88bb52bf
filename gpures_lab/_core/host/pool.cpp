#include "host/pool.hpp"

#include <algorithm>

namespace gpures {

namespace {
constexpr u64 kUnit = 256;         // alignment of every block
constexpr u32 kLinearClasses = 8;  // 256, 512, … 2048: below, an eighth of an octave is < kUnit
constexpr u64 kFirstStep = u64{16} << 20;  // a device's arena: each step parks the ring
constexpr u64 kLargestStep = u64{1} << 30;
constexpr u32 kScan = 8;  // idle blocks of a class looked at before it counts as a miss
}  // namespace

u64 class_bytes(u64 bytes) {
  if (bytes <= kUnit * kLinearClasses) return (bytes + kUnit - 1) / kUnit * kUnit;
  const u32 octave = 63u - u32(__builtin_clzll(bytes - 1));
  const u64 step = u64{1} << (octave - 3);
  return (bytes + step - 1) / step * step;
}

u32 class_index(u64 bytes) {
  if (bytes <= kUnit * kLinearClasses) return u32((bytes + kUnit - 1) / kUnit) - 1;
  const u32 octave = 63u - u32(__builtin_clzll(bytes - 1));
  return kLinearClasses + (octave - 11) * 8 + u32((bytes - 1) >> (octave - 3) & 7);
}

Pool::Pool(u64 limit_bytes, BlockEntry* table, u64 capacity, const std::atomic<u64>* answered,
           bool grows)
    : table_(table), capacity_(capacity), answered_(answered) {
  for (Arena& arena : arenas_) {
    if (!grows) arena.grow_by_others();
  }
  counts_.limit_bytes = limit_bytes;
  for (auto& classes : top_) std::fill(std::begin(classes), std::end(classes), kNone);
}

bool Pool::reusable(const Block& block, u32 ring) const {
  return block.ring == ring ||
         answered_[block.ring].load(std::memory_order_acquire) > block.position;
}

Pool::Rented Pool::rent(u64 bytes, u32 ring, u32 grain, u32 arena, bool settled) {
  const u64 size = class_bytes(bytes);
  const u32 klass = class_index(bytes);
  std::lock_guard guard(mutex_);
  u32 candidate = top_[arena][klass];
  for (u32 n = 0; candidate != kNone && n < kScan; ++n, candidate = blocks_[candidate].below) {
    Block& block = blocks_[candidate];
    if (!reusable(block, settled ? kNone : ring)) continue;
    unlink(candidate);
    counts_.idle_bytes -= size;
    counts_.used_bytes += size;
    ++counts_.hits;
    const bool own = block.grain == grain;
    if (block.ring != ring) {
      block.ring = ring;
      block.position = 0;  // its Release on the other ring has completed
      table_[candidate].ring = ring;
    }
    block.grain = grain;
    return {candidate, false, false, own};
  }
  if (size > counts_.limit_bytes || counts_.used_bytes > counts_.limit_bytes - size) return {};
  while (counts_.used_bytes + counts_.idle_bytes + size > counts_.limit_bytes) {
    if (!evict_one()) return {kNone, true, false, false};
  }
  if (spare_.empty() && blocks_.size() >= capacity_) return {};
  const Arena::Piece piece = arenas_[arena].cut(size);
  if (!piece.base) {  // by doubling, as the host's arena does
    Rented none;
    none.grow = std::max(size, std::clamp(arenas_[arena].reserved(), kFirstStep, kLargestStep));
    return none;
  }
  u32 index;
  if (spare_.empty()) {
    index = u32(blocks_.size());
    blocks_.emplace_back();
  } else {
    index = spare_.back();
    spare_.pop_back();
  }
  Block& block = blocks_[index];
  block = Block{};
  block.base = piece.base;
  block.serial = ++serials_;
  block.bytes = size;
  block.ring = ring;
  block.grain = grain;
  block.klass = klass;
  block.arena = u8(arena);
  table_[index] = BlockEntry{u64(piece.base), size, ring, 0};
  ++counts_.misses;
  counts_.used_bytes += size;
  counts_.high_water_bytes =
      std::max(counts_.high_water_bytes, counts_.used_bytes + counts_.idle_bytes);
  return {index, false, piece.pristine, false};
}

void Pool::add_memory(u32 arena, u8* base, u64 bytes) {
  std::lock_guard guard(mutex_);
  arenas_[arena].add(base, bytes);
}

void Pool::give_back(u32 index, u32 ring, u64 position) {
  std::lock_guard guard(mutex_);
  Block& block = blocks_[index];
  block.ring = ring;
  block.position = position;
  if (block.exports != 0) {
    block.parked = true;
    return;
  }
  make_idle(index);
}

void Pool::give_back_unused(u32 index) {
  std::lock_guard guard(mutex_);
  blocks_[index].grain = kNone;  // `position` stays: an earlier Release may still be queued
  make_idle(index);
}

void Pool::make_idle(u32 index) {
  counts_.used_bytes -= blocks_[index].bytes;
  counts_.idle_bytes += blocks_[index].bytes;
  link(index);
}

void Pool::hold_export(u32 index) {
  std::lock_guard guard(mutex_);
  if (blocks_[index].exports++ == 0) ++counts_.exported;
}

void Pool::drop_export(u32 index) {
  std::lock_guard guard(mutex_);
  Block& block = blocks_[index];
  if (--block.exports != 0) return;
  --counts_.exported;
  if (block.parked) {
    block.parked = false;
    make_idle(index);
  }
}

bool Pool::is_exported(u32 index) const {
  std::lock_guard guard(mutex_);
  return blocks_[index].exports != 0;
}

// The least recently returned block. False: its Release has not completed, or nothing is idle.
bool Pool::evict_one() {
  const u32 index = oldest_;
  if (index == kNone) return false;
  Block& block = blocks_[index];
  if (answered_[block.ring].load(std::memory_order_acquire) <= block.position) return false;
  unlink(index);
  counts_.idle_bytes -= block.bytes;
  ++counts_.evictions;
  if (recording_) evicted_.push_back(block.serial);
  arenas_[block.arena].give_back(block.base, block.bytes);
  table_[index] = BlockEntry{};
  table_[index].ring = ~u64{0};
  spare_.push_back(index);
  return true;
}

void Pool::link(u32 index) {
  Block& block = blocks_[index];
  block.idle = true;
  block.older = newest_;
  block.newer = kNone;
  (newest_ == kNone ? oldest_ : blocks_[newest_].newer) = index;
  newest_ = index;
  u32& top = top_[block.arena][block.klass];
  block.below = top;
  block.above = kNone;
  if (top != kNone) blocks_[top].above = index;
  top = index;
}

void Pool::unlink(u32 index) {
  Block& block = blocks_[index];
  block.idle = false;
  (block.older == kNone ? oldest_ : blocks_[block.older].newer) = block.newer;
  (block.newer == kNone ? newest_ : blocks_[block.newer].older) = block.older;
  if (block.above == kNone) {
    top_[block.arena][block.klass] = block.below;
  } else {
    blocks_[block.above].below = block.below;
  }
  if (block.below != kNone) blocks_[block.below].above = block.above;
}

PoolCounts Pool::counts() const {
  std::lock_guard guard(mutex_);
  return counts_;
}

void Pool::record_evictions(bool on) {
  std::lock_guard guard(mutex_);
  recording_ = on;
}

std::vector<u64> Pool::take_evictions() {
  std::lock_guard guard(mutex_);
  return std::exchange(evicted_, {});
}

void Pool::abandon() {
  for (Arena& arena : arenas_) arena.abandon();
}

}  // namespace gpures
