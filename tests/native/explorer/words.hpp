// The Words policy that the shipped headers run under here: every access goes to the machine.
// Also the place where laws about single words are broken on purpose.
#pragma once

#include "explorer/world.hpp"

namespace explore {

void on_execute(u32 ring, u64 position);  // worker.hpp
void on_answer(u32 ring, u64 position, u64 taken, Status status);

// Which word of which ring: only for words whose stores mean something to the model.
struct Place {
  enum Kind : u8 {
    kOther,
    kSlotSequence,
    kSlotWord,
    kCompletionSequence,
    kCompletionWord,
    kCurrent,
    kQuiet,
    kHead,
    kPage
  };
  Kind kind = kOther;
  u32 ring = 0;
  u32 index = 0;
  u32 word = 0;
};

inline Place place_of(const u64& word) {
  for (u32 r = 0; r < kRings; ++r) {
    const auto* slots = reinterpret_cast<const u64*>(world.slots[r]);
    if (&word >= slots && &word < slots + kMaxSlots * 8) {
      const u32 at = u32(&word - slots);
      return {at % 8 == 0 ? Place::kSlotSequence : Place::kSlotWord, r, at / 8, at % 8};
    }
    const auto* entries = reinterpret_cast<const u64*>(world.completions[r]);
    if (&word >= entries && &word < entries + kMaxSlots * 4) {
      const u32 at = u32(&word - entries);
      return {at % 4 == 0 ? Place::kCompletionSequence : Place::kCompletionWord, r, at / 4, at % 4};
    }
    const auto* page = reinterpret_cast<const u64*>(pages[r]);
    if (&word >= page && &word < page + kMaxSlots * kPageWords) return {Place::kPage, r, 0, 0};
    const RingControl& control = world.ring_control[r];
    if (&word == &control.current.value) return {Place::kCurrent, r, 0, 0};
    if (&word == &world.states[r].head) return {Place::kHead, r, 0, 0};
    if (&word == &control.beat.value || &word == &world.states[r].active ||
        (&word >= world.memory[0] && &word < world.memory[kBlocks]) ||
        (&word == &control.done.value && !setup.keeper)) {
      return {Place::kQuiet, r, 0, 0};
    }
  }
  if (&word == &world.control.started_epoch.value) return {Place::kQuiet, 0, 0, 0};
  // Words that nobody, or nobody else, writes in this scenario: no schedule can tell.
  const bool alone = setup.rings == 1 && !setup.apart && !broken(Break::kTwoPollers);
  if ((&word == &world.control.stop.value && !setup.stopper) ||
      (&word == &world.control.park_epoch.value && !setup.parker) ||
      (&word == &world.control.cancels.value && setup.cancels == 0) ||
      (&word == &world.shared.leave.value && alone) ||
      (&word == &world.shared.cancels.value && (alone || setup.cancels == 0)) ||
      (&word == &world.shared.stop.value && (alone || !setup.stopper))) {
    return {Place::kQuiet, 0, 0, 0};
  }
  return {};
}

// What a reader sees of a sequence that the break under test has shortened.
inline u64 shortened(const Place& place, u64 value) {
  if (place.kind == Place::kSlotSequence && broken(Break::kFlagForSequence) && value != 0) {
    const u64 head = world.host.executed[place.ring];
    const u64 ahead = (place.index + setup.slots - head % setup.slots) % setup.slots;
    return head + ahead + 1;  // full: taken for whatever was expected there
  }
  return value;
}

struct Words {
  static u64 get(const u64& word) {
    const Place place = place_of(word);
    return is_watched(place) ? machine.load(word) : machine.load_quietly(word);
  }

  static void put(u64& word, u64 value) {
    const Place place = place_of(word);
    if (place.kind == Place::kCompletionWord && place.word == 3) {
      on_answer(place.ring, world.host.executed[place.ring] - 1, value,
                Status(u16(machine.load_quietly((&word)[-2]))));
      if (broken(Break::kHeadBeforePublish)) {
        put(world.states[place.ring].head, world.host.executed[place.ring]);
      }
    }
    if (place.kind == Place::kHead) check_head(place.ring, value);
    if (is_watched(place)) {
      write(word, value, Kind::kPlain);
    } else {
      word = value;
    }
  }

  static u64 load_acquire_sys(const u64& word) {
    const Place place = place_of(word);
    if (&word == &world.control.cancels.value && !setup.apart) {
      world.host.round_cancels = world.host.cancels_done;
    }
    if (place.kind == Place::kQuiet) return machine.load_quietly(word);
    return shortened(place, machine.load(word));
  }
  static u64 load_relaxed_sys(const u64& word) { return load_acquire_sys(word); }

  static void store_release_sys(u64& word, u64 value) { write(word, value, Kind::kRelease); }
  static void store_relaxed_sys(u64& word, u64 value) {
    const Place place = place_of(word);
    if (place.kind == Place::kCurrent) {
      on_execute(place.ring, value - 1);
      return;
    }
    write(word, value, Kind::kPlain);
  }
  // On the host the release is on each store, on the device one fence is before them all.
  static void fence_sys() {
    if (setup.device && !broken(Break::kNoFence)) machine.fence();
  }
  static void store_fenced_sys(u64& word, u64 value) {
    const bool plain = setup.device || broken(Break::kNoFence);
    write(word, value, plain ? Kind::kPlain : Kind::kRelease);
  }

  static u64 load_acquire_gpu(const u64& word) {
    const u64 value = load_acquire_sys(word);
    // A poller apart mirrors when it likes: its block knows what it has seen of the mirror.
    if (setup.apart && &word == &world.shared.cancels.value) world.host.round_cancels = value;
    return value;
  }
  static u64 load_relaxed_gpu(const u64& word) { return load_acquire_gpu(word); }
  static void store_release_gpu(u64& word, u64 value) { store_release_sys(word, value); }
  static void store_relaxed_gpu(u64& word, u64 value) { store_relaxed_sys(word, value); }
  static u64 load_acquire_block(const u64& word) {
    const u64 value = load_acquire_sys(word);
    if (!broken(Break::kBufferTooEarly) || &word != &fetched[0].done) return value;
    return value + (machine.load_quietly(fetched[0].put) != value);
  }
  static void store_release_block(u64& word, u64 value) { store_release_sys(word, value); }
  static u64 fetch_add_gpu(u64& word, u64 value) {
    machine.begin_atomic();
    const u64 old = word;
    machine.set(word, old + value);
    machine.log("add %llu to a word that was %llu", value, old);
    return old;
  }

  static u64 exchange(u64& word, u64 value) {
    if (broken(Break::kPlainWake)) {
      const u64 old = machine.load(word);
      machine.store(word, value, Kind::kRelease);
      return old;
    }
    machine.begin_atomic();
    const u64 old = word;
    machine.set(word, value);
    if (machine.tracing) log_exchange(word, old, value);
    return old;
  }
  // A read-modify-write either way. A compare_exchange that fails is only a load in C++: it orders
  // nothing that came before it.
  static bool exchange_if(u64& word, u64 expected, u64 value) {
    if (broken(Break::kFailedExchangeLoads) && machine.load(word) != expected) return false;
    machine.begin_atomic();
    const u64 old = word;
    if (old == expected) machine.set(word, value);
    if (machine.tracing) log_exchange(word, old, word);
    return old == expected;
  }

 private:
  // Of a payload its last word is enough to see that it is torn: the others are written at once,
  // and so is what only its own writer reads.
  static bool is_watched(const Place& place) {
    switch (place.kind) {
      case Place::kSlotWord:
        return place.word == 7;
      case Place::kCompletionWord:
        return place.word == 3;
      case Place::kPage:
        return setup.late_pages;
      default:
        return place.kind == Place::kOther;
    }
  }
  // A message is done for good only once its completion was stored.
  static void check_head(u32 ring, u64 head) {
    for (u64 p = head > setup.slots ? head - setup.slots : 0; p < head; ++p) {
      if (machine.load_quietly(world.completions[ring][p % setup.slots].sequence) < p + 1) {
        machine.fail("ring %u: head %llu is stored before completion %llu", ring, head, p);
      }
    }
  }
  static void write(u64& word, u64 value, Kind kind) {
    const Place place = place_of(word);
    if (place.kind == Place::kQuiet) {
      word = value;
      return;
    }
    if (machine.load_quietly(word) == value) return;  // nobody can tell
    machine.store(word, value, kind);
  }
  static void log_exchange(const u64& word, u64 old, u64 value) {
    char text[64];
    name_word(&word, text, sizeof(text));
    machine.log("exchange %s: %llu -> %llu", text, old, value);
  }
};

}  // namespace explore
