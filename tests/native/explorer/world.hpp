// What a run changes: two tiny rings, the worker's tables, and the host's bookkeeping around them.
// Plain bytes, so that the search can copy and hash them. A scenario is a Setup.
#pragma once

#include "explorer/machine.hpp"
#include "shared/fetch.hpp"
#include "shared/layout.hpp"

namespace explore {

using namespace gpures;

inline constexpr u32 kRings = 2;
inline constexpr u32 kMaxSlots = 4;
inline constexpr u32 kMessages = 8;
inline constexpr u32 kHandles = 4;
inline constexpr u32 kBlocks = 2;
inline constexpr u32 kBlockBytes = 16;
inline constexpr u32 kProgramWords = 40;
inline constexpr u64 kLinger = 100, kLease = 900;  // ticks; the clock moves only by jumps

// Each breaks one law on purpose; the test that runs it fails unless the explorer notices.
enum class Break : u8 {
  kNothing,
  kTwoPosters,           // [R1] posters not serialized
  kSequenceFirst,        // [R2] slot: sequence before payload
  kRelaxedCommit,        // [R2] slot: sequence without release
  kNoFence,              // [R2] completions: no fence before the sequences
  kFlagForSequence,      // [R3] slot: full or not, instead of whose
  kParityForSequence,    // [R3] completion: lap parity instead of the sequence
  kTwoPollers,           // [R4]
  kDirtyMemory,          // [R5] a slot starts out with what an earlier process left there
  kHeadAtLaunch,         // head as a launch parameter, from what the host has harvested
  kHeadBeforePublish,    // head stored before its completions are published
  kLeaveReset,           // [R7] each launch resets `leave`
  kPostTooEarly,         // [R9] position p before completion p - slots was taken
  kPlainWake,            // [R13] load and store instead of exchange
  kLookThenAnnounce,     // [R13] the worker looks at the slot, then announces sleep
  kNoLookAfterOut,       // [R13] no second announce_out()
  kForgetKick,           // [R13] a kick during the exit is forgotten
  kNoRouse,              // [R12] a leaver does not rouse sleepers
  kFailedExchangeLoads,  // [R12] rouse() that finds nobody asleep orders nothing
  kNoMirrorAsleep,       // [R12] worker 0 sleeps without a last look at the host's words
  kEarlyExit,            // [R12] the first worker out writes exited_epoch
  kNoLaunchLock,         // two launches at once
  kNoKeeper,             // [R13] a GPU without a keeper
  kCountBeforeEntry,     // cancel: count before the entry it counts
  kTornCancel,           // cancel: entry rewritten and read in one pass
  kReuseCancel,          // cancel: entry reused before its positions were answered
  kReturnAtRelease,      // block rented again while its Release is held back
  kReturnToOther,        // block rented by another ring before its Release completed
  kProgressLost,         // [R12] a program's progress does not outlive its launch
  kBufferTooEarly,       // [R9] a poller apart fills a buffer that its block has not done with
  kLeaveNotTold,         // [R6] a poller apart is not told that its launch is over
  kPollerStays,          // [R4] the launch is out while its poller apart still looks
  kProgressOfAnother,    // [R12] a run goes on where an earlier run of the program ended
};

struct Setup {
  bool device = false;  // no wake words, late stores behind one fence a batch
  u32 rings = 1;
  u64 slots = 2;
  u32 messages[kRings] = {2, 0};
  u32 posters = 1;           // of ring 0
  u32 readers = 0;           // bit r: ring r has one while others run; else the end looks
  bool late_waiter = false;  // looks at position 0 again when it was long harvested
  u32 lease_jumps = 0, linger_jumps = 0;
  bool launched = true;  // a launch is under way when the posters start
  bool keeper = false;
  bool parker = false;  // quiesced() once
  bool stopper = false;
  u32 block_threads = 1;  // of each worker
  bool apart = false;     // a poller of its own fetches for each worker
  u64 slices = 0;         // messages are Computes of that many slices, instead of Noops
  u64 repeats = 0;        // messages are RunPrograms of two steps, repeated that often
  u32 cancels = 0;
  bool late_pages = false;    // page words lie in store buffers, too
  bool publish_each = false;  // completions go out one by one
  Break broken = Break::kNothing;
};

inline constexpr u64 kNeverTaken = ~u64{0};

struct Host {
  u64 posted[kRings];
  u64 harvested[kRings];
  u64 answers[kRings][kMessages];     // completions taken of a position
  u64 executed[kRings];               // messages the workers ran: the next position to run
  u64 stamp[kRings][kMessages];       // `taken` of the completion the worker put
  u64 first_word[kRings][kMessages];  // payload[0] of the message at a position
  u64 grain[kRings][kMessages];
  u64 launched, expected, launch_rings;
  u64 serving[kRings];  // epoch the worker serves, 0 = out
  u64 out[kRings];      // last epoch it counted itself out of
  u64 sleeping[kRings];
  u64 clock;
  u64 launch_lock, quiesced, wanted, stopped;
  u64 ring_lock[kRings], sleep_lock[kRings];
  u64 stop_was_up[kRings];  // when the slice before ended
  u64 cancels, cancels_done, round_cancels;
  u64 cancel_ring[kMessages], cancel_grain[kMessages], cancel_last[kMessages];
  u64 block_free, block_ring, block_position;  // the pool of explorer_blocks
  u64 at_barrier, barrier;                     // of a block of more than one thread
  u64 steps[kMessages];                        // program steps run for a position of ring 0
  u64 fetching[kRings];                        // launch of a poller apart, 0 = none
};

struct World {
  EngineControl control;
  WorkerShared shared;
  RingControl ring_control[kRings];
  RingState states[kRings];
  Slot slots[kRings][kMaxSlots];
  CompletionEntry completions[kRings][kMaxSlots];
  HandleEntry handles[kHandles];
  BlockEntry blocks[kBlocks];
  u64 holders[kBlocks];
  alignas(64) u64 memory[kBlocks][kBlockBytes / 8];
  alignas(64) u64 program[kProgramWords];
  Host host;
};

inline World world;
inline Setup setup;

// Pages have a fixed stride in the shipped headers; only their first words are ever touched.
inline constexpr u32 kPageWordsUsed = 2;
alignas(4096) inline u8 pages[kRings][kMaxSlots][kPageBytes];

inline u64 request_of(u32 ring, u64 position) { return 1000 * (ring + 1) + position; }
inline u64 stamp_of(u32 ring, u64 position) { return 7000 * (ring + 1) + position; }

inline bool broken(Break law) { return setup.broken == law; }
inline u64* page_word(u32 ring, u64 position) {
  return reinterpret_cast<u64*>(pages[ring][position % setup.slots]);
}

// A user kernel without arrays: what matters is that it runs in slices.
inline KernelEntry sliced_kernel = {0, 0, 0, 1, kKernelUser, 0, 0, {}};
inline KernelEntry* const kernels[] = {&sliced_kernel};

inline EngineView engine_view() {
  EngineView view{};
  view.control = &world.control;
  view.shared = &world.shared;
  view.states = world.states;
  view.handles = world.handles;
  view.blocks = world.blocks;
  view.holders = world.holders;
  view.kernels = kernels;
  view.kernel_capacity = 1;
  view.handle_capacity = kHandles;
  view.block_capacity = kBlocks;
  view.linger_ticks = kLinger;
  view.lease_ticks = kLease;
  view.publish_ticks = setup.publish_each ? 0 : 1'000'000;
  view.rings = setup.rings;
  return view;
}

inline RingView ring_view(u32 ring) {
  RingView view{};
  view.slots = world.slots[ring];
  view.pages = pages[ring][0];
  view.completions = world.completions[ring];
  view.control = &world.ring_control[ring];
  view.state = &world.states[ring];
  view.slot_count = setup.slots;
  view.index = ring;
  return view;
}

// What a worker and its poller apart share.
inline Fetched fetched[kRings];

inline bool is_signal(const u64* word) {
  for (u32 r = 0; r < setup.rings; ++r) {
    const Fetched& shared = fetched[r];
    if (word == &shared.put || word == &shared.done || word == &shared.over) return true;
    for (u32 s = 0; s < setup.slots; ++s) {
      if (word == &world.slots[r][s].sequence) return true;
    }
  }
  return word == &world.control.park_epoch.value || word == &world.control.stop.value ||
         word == &world.control.cancels.value || word == &world.control.exited_epoch.value ||
         word == &world.shared.leave.value || word == &world.shared.cancels.value;
}

inline void name_word(const u64* word, char* text, std::size_t bytes) {
  for (u32 r = 0; r < kRings; ++r) {
    for (u32 s = 0; s < kMaxSlots; ++s) {
      const auto* slot = reinterpret_cast<const u64*>(&world.slots[r][s]);
      const char* const in_slot[] = {"sequence",   "request",    "header",     "payload[0]",
                                     "payload[1]", "payload[2]", "payload[3]", "payload[4]"};
      if (word >= slot && word < slot + 8) {
        std::snprintf(text, bytes, "ring %u slot %u %s", r, s, in_slot[word - slot]);
        return;
      }
      const auto* entry = reinterpret_cast<const u64*>(&world.completions[r][s]);
      const char* const in_entry[] = {"sequence", "status", "value", "taken"};
      if (word >= entry && word < entry + 4) {
        std::snprintf(text, bytes, "ring %u completion %u %s", r, s, in_entry[word - entry]);
        return;
      }
      const auto* page = reinterpret_cast<const u64*>(pages[r][s]);
      if (word >= page && word < page + kPageWordsUsed) {
        std::snprintf(text, bytes, "ring %u page %u word %d", r, s, int(word - page));
        return;
      }
    }
    RingControl& control = world.ring_control[r];
    const struct {
      const u64* at;
      const char* name;
    } in_ring[] = {{&control.done.value, "done"},
                   {&control.wake.value, "wake"},
                   {&control.cancel_count.value, "cancel_count"},
                   {&world.states[r].head, "head"},
                   {&control.progress.iteration, "progress iteration"},
                   {&control.progress.position, "progress position"},
                   {&fetched[r].put, "batches put"},
                   {&fetched[r].empty, "looks in vain"},
                   {&fetched[r].done, "batches done"},
                   {&fetched[r].over, "launch over"},
                   {&control.cancel[0].grain, "cancel grain"},
                   {&control.cancel[0].last, "cancel last"}};
    for (const auto& known : in_ring) {
      if (word == known.at) {
        std::snprintf(text, bytes, "ring %u %s", r, known.name);
        return;
      }
    }
  }
  const struct {
    const u64* at;
    const char* name;
  } known[] = {{&world.control.park_epoch.value, "park_epoch"},
               {&world.control.stop.value, "stop"},
               {&world.control.cancels.value, "cancels"},
               {&world.control.exited_epoch.value, "exited_epoch"},
               {&world.shared.leave.value, "leave"},
               {&world.shared.stop.value, "stop (mirror)"},
               {&world.shared.cancels.value, "cancels (mirror)"},
               {&world.shared.left.value, "left"}};
  for (const auto& one : known) {
    if (word == one.at) {
      std::snprintf(text, bytes, "%s", one.name);
      return;
    }
  }
  std::snprintf(text, bytes, "world + %td",
                reinterpret_cast<const char*>(word) - reinterpret_cast<const char*>(&world));
}

}  // namespace explore
