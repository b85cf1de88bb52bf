// The ring's edges: commit and take a message, publish and take a completion.
// Positions are 64-bit and never wrap; slot of position p is p & (slots - 1). [R3]
#pragma once

#include "layout.hpp"
#include "words.hpp"

namespace gpures {

inline constexpr u32 kSlotWords = sizeof(Slot) / sizeof(u64);

// Host. The slot must be free: completion `position - slots` was taken.
// release: the payload and the page happen-before. Pairs with is_ready(). [R2]
template <class Words>
GPURES_HD void commit(Slot& slot, const Slot& message, u64 position) {
  const u64* from = reinterpret_cast<const u64*>(&message);
  u64* to = reinterpret_cast<u64*>(&slot);
  for (u32 word = 1; word < kSlotWords; ++word) Words::put(to[word], from[word]);
  Words::store_release_sys(slot.sequence, position + 1);
}

// Worker. acquire: pairs with commit(). A full sequence, never a parity bit: a lapped slot is
// not ready again by accident. [R2][R3]
template <class Words>
GPURES_HD bool is_ready(const Slot& slot, u64 position) {
  return Words::load_acquire_sys(slot.sequence) == position + 1;
}

template <class Words>
GPURES_HD void copy_message(Slot& message, const Slot& slot) {
  const u64* from = reinterpret_cast<const u64*>(&slot);
  u64* to = reinterpret_cast<u64*>(&message);
  for (u32 word = 1; word < kSlotWords; ++word) to[word] = Words::get(from[word]);
}

// Worker. Fills all of the entry but its sequence; publish() makes it visible.
template <class Words>
GPURES_HD void put_completion(CompletionEntry& entry, const CompletionEntry& answer) {
  const u64* from = reinterpret_cast<const u64*>(&answer);
  u64* to = reinterpret_cast<u64*>(&entry);
  for (u32 word = 1; word < sizeof(CompletionEntry) / sizeof(u64); ++word) {
    Words::put(to[word], from[word]);
  }
}

// Worker. Everything before (answers, page and staging contents) happens-before the sequences.
// Pairs with is_published(). One fence a batch on the device. [R2]
template <class Words>
GPURES_HD void publish(RingView& ring, u64 first, u64 end) {
  if (first == end) return;
  Words::fence_sys();
  for (u64 position = first; position < end; ++position) {
    CompletionEntry& entry = ring.completions[position & (ring.slot_count - 1)];
    Words::store_fenced_sys(entry.sequence, position + 1);
  }
  Words::store_fenced_sys(ring.control->done.value, end);
}

// Host. acquire: pairs with publish().
template <class Words>
GPURES_HD bool is_published(const CompletionEntry& entry, u64 position) {
  return Words::load_acquire_sys(entry.sequence) == position + 1;
}

template <class Words>
GPURES_HD void copy_completion(CompletionEntry& answer, const CompletionEntry& entry) {
  const u64* from = reinterpret_cast<const u64*>(&entry);
  u64* to = reinterpret_cast<u64*>(&answer);
  for (u32 word = 1; word < sizeof(CompletionEntry) / sizeof(u64); ++word) {
    to[word] = Words::get(from[word]);
  }
}

}  // namespace gpures
