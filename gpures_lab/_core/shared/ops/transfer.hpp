// Write and Read: between an allocation and the slot's page or a staging chunk.
#pragma once

#include "../bytes.hpp"
#include "../tables.hpp"
#include "answer.hpp"

namespace gpures {

// The host end of a transfer, or null when the message contradicts itself.
GPURES_HD u8* transfer_place(const EngineView& engine, const TransferMessage& message, u8* page) {
  if (message.place == kPage) return message.bytes <= kPageBytes ? page : nullptr;
  if (message.place != kStaging || message.bytes > kStagingChunkBytes ||
      message.chunk >= engine.staging_chunks) {
    return nullptr;
  }
  return engine.staging + u64(message.chunk) * kStagingChunkBytes;
}

struct Write {
  static constexpr Opcode kOpcode = Opcode::kWrite;

  template <class Env>
  GPURES_HD static Answer run(Env& env, const EngineView& engine, RingView& ring,
                              const Slot& slot, u8* page) {
    const auto& message = payload_of<TransferMessage>(slot);
    const Resolved found = resolve(engine, message.handle, slot.grain);
    if (found.status != Status::kOk) return {found.status};
    if (!fits(message.offset, message.bytes, found.entry->bytes)) return {Status::kOutOfBounds};
    u8* to = reinterpret_cast<u8*>(found.entry->base) + message.offset;
    if (message.place == kFill) {
      const u64 element = message.element;
      // A power of two divides the chunk, so that every chunk starts with a whole element.
      if (element == 0 || element > 16 || (element & (element - 1)) || message.bytes % element) {
        return {Status::kBadMessage};
      }
      for (u64 at = 0; at < message.bytes; at += kStagingChunkBytes) {
        const u64 left = message.bytes - at;
        repeat_bytes(env, to + at, page, element,
                     left < kStagingChunkBytes ? left : kStagingChunkBytes);
        env.beat(ring);
      }
      return {};
    }
    const u8* from = transfer_place(engine, message, page);
    if (from == nullptr) return {Status::kBadMessage};
    copy_bytes(env, to, from, message.bytes);
    return {};
  }
};

struct Read {
  static constexpr Opcode kOpcode = Opcode::kRead;

  template <class Env>
  GPURES_HD static Answer run(Env& env, const EngineView& engine, RingView&, const Slot& slot,
                              u8* page) {
    const auto& message = payload_of<TransferMessage>(slot);
    const Resolved found = resolve(engine, message.handle, slot.grain);
    if (found.status != Status::kOk) return {found.status};
    if (!fits(message.offset, message.bytes, found.entry->bytes)) return {Status::kOutOfBounds};
    u8* to = transfer_place(engine, message, page);
    if (to == nullptr) return {Status::kBadMessage};
    copy_bytes(env, to, reinterpret_cast<const u8*>(found.entry->base) + message.offset,
               message.bytes);
    return {};
  }
};

}  // namespace gpures
