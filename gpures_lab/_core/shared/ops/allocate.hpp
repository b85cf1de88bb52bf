// Allocate: bind a handle to the block the host chose. The block's address comes from the table,
// never from the message. [R10]
#pragma once

#include "../bytes.hpp"
#include "../tables.hpp"
#include "answer.hpp"

namespace gpures {

struct Allocate {
  static constexpr Opcode kOpcode = Opcode::kAllocate;

  template <class Env>
  GPURES_HD static Answer run(Env& env, const EngineView& engine, RingView& ring,
                              const Slot& slot, u8*) {
    const auto& message = payload_of<AllocateMessage>(slot);
    const u32 id = handle_id(message.handle);
    if (handle_generation(message.handle) == 0 || id >= engine.handle_capacity) {
      return {Status::kStaleHandle};
    }
    if (message.block >= engine.block_capacity) return {Status::kBadMessage};
    HandleEntry& entry = engine.handles[id];
    if (entry.handle != 0) return {Status::kHandleTaken};
    const BlockEntry& block = engine.blocks[message.block];
    if (block.ring != ring.index || engine.holders[message.block] != 0) {
      return {Status::kBlockTaken};
    }
    if (message.bytes > block.bytes) return {Status::kOutOfBounds};
    env.sync();  // every thread has read the tables before one writes them
    if (env.leader()) {
      entry.bytes = message.bytes;
      entry.base = block.base;
      entry.grain = slot.grain;
      entry.block = message.block;
      entry.handle = message.handle;
      engine.holders[message.block] = message.handle;
    }
    if (message.zero) {
      u8* base = reinterpret_cast<u8*>(block.base);
      // All of the block: what a shorter allocation leaves behind its end would else be shown by a
      // later, longer one of the same grain that asks for no zeros.
      for (u64 at = 0; at < block.bytes; at += kStagingChunkBytes) {
        const u64 left = block.bytes - at;
        zero_bytes(env, base + at, left < kStagingChunkBytes ? left : kStagingChunkBytes);
        env.beat(ring);
      }
    }
    return {};
  }
};

}  // namespace gpures
