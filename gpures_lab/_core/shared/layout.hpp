// What host and worker both see: slots, pages, completions, control words, tables.
// Sizes are asserted here; tests/core/test_layout.py compares the numbers with Python.
#pragma once

#include "base.hpp"

namespace gpures {

enum class Opcode : u16 {
  kNoop = 1,
  kBarrier = 2,  // done after every earlier message of its ring
  kAllocate = 3,
  kRelease = 4,
  kWrite = 5,
  kRead = 6,
  kCompute = 7,
  kRunProgram = 8,
};
inline constexpr u16 kOpcodeEnd = 9;  // first unused; grain-to-grain opcodes follow

// One completion status each; the host turns it into one exception (ring/failures.py).
enum class Status : u16 {
  kOk = 0,
  kBadMessage = 1,     // unknown opcode, or fields that contradict each other
  kStaleHandle = 2,    // id or generation is not live
  kForeignHandle = 3,  // live, but another grain's
  kOutOfBounds = 4,    // element range leaves the allocation; page holds kFaultWords words
  kUnknownKernel = 5,
  kBlockTaken = 6,     // Allocate named a block that is held, or another ring's
  kHandleTaken = 7,    // Allocate named a live handle
  kKernelFault = 8,    // signal caught under the guard; value = signal number
  kCancelled = 9,
  kUnfinished = 10,    // never published: a program left with the launch, the next one goes on
  // Host-side answers: the worker never writes these.
  kRingStalled = 32,
  kRingClosed = 33,
  kDeviceLost = 34,
  kHostFailed = 35,   // what the host does for a grain (checkpoint, deactivate) did not succeed
  kNotLaunched = 36,  // the driver refused a plain launch; value = its error
};

inline constexpr u32 kPageBytes = 4096;
inline constexpr u32 kInlineBytes = 40;
inline constexpr u64 kStagingChunkBytes = u64{1} << 20;
inline constexpr u32 kBatch = 32;          // slots looked at after a hit
inline constexpr u64 kSliceIndices = 1024; // a kernel with loops inside an index looks at `stop` this often [R6]

// [R2][R3] `sequence` is stored last, with release, and never cleared: position + 1.
struct alignas(64) Slot {
  u64 sequence;   // 0 = never written; position + 1 = holds message `position`
  u64 request;    // the host's request number, for messages and traces
  u32 grain;      // the sender; handles must be its own
  u16 opcode;
  u16 flags;      // kBatchMember and its lane
  u64 payload[5];
};
static_assert(sizeof(Slot) == 64 && alignof(Slot) == 64);

// One of many messages of one request: after the first error none is run. Batches that are posted
// at the same time lie between each other, so each has a lane of its own.
inline constexpr u32 kBatchLanes = 8;
inline constexpr u16 kBatchMember = 1;  // flags: kBatchMember | lane << kBatchLaneShift
inline constexpr u32 kBatchLaneShift = 8;

struct AllocateMessage {
  u64 handle;
  u64 bytes;
  u32 block;
  u32 zero;
};
struct ReleaseMessage {
  u64 handle;
};
// Write and Read: data lies in the slot's page, or in a staging chunk.
struct TransferMessage {
  u64 handle;
  u64 offset;   // bytes into the allocation
  u64 bytes;
  u32 place;    // TransferPlace
  u32 chunk;    // staging chunk, when place is kStaging
  u64 element;  // kFill: bytes of one element, its value lies in the page
};
enum TransferPlace : u32 { kPage = 0, kStaging = 1, kFill = 2 };
// Compute: `words` hold, in this order: space[1..indices), handles, params, shapes of the arrays
// with two or more dimensions. In the slot when they fit, else in the page.
struct ComputeMessage {
  u32 kernel;
  u8 arrays;
  u8 param_words;
  u8 indices;
  u8 in_page;
  u64 n;         // space[0]
  u64 words[3];
};
// RunProgram: replays the program that lies in an allocation of kProgramOwner. The page holds the
// late-bound words of this run.
struct RunProgramMessage {
  u64 program;
  u64 repeat;   // most iterations
  u64 until;    // handle of a scalar that ends the run when it is not zero; 0 = none
  u64 every;    // iterations between two looks at it
  u32 item;     // its bytes: 1, 2, 4 or 8; kUntilFloat: -0.0 is zero too
  u32 late;     // words in the page
};
inline constexpr u32 kUntilFloat = 256;
inline constexpr u32 kInlineWords = 3;
inline constexpr u32 kPageWords = kPageBytes / 8;
static_assert(sizeof(AllocateMessage) <= kInlineBytes);
static_assert(sizeof(TransferMessage) == kInlineBytes);
static_assert(sizeof(ComputeMessage) == kInlineBytes);
static_assert(sizeof(RunProgramMessage) == kInlineBytes);

// A program in memory: header, steps, late records, text, then what the worker writes when a run
// starts: bound steps and their words. Only ordinary Writes of kProgramOwner put it there.
//
// A step is a Slot whose `sequence` and `request` say where its page would begin in the text, and
// how many words it has.
inline constexpr u32 kProgramOwner = 0xffffffff;  // no grain has this index
struct ProgramHeader {
  u64 steps;
  u64 late;         // records: step (32 bits), word of its parameters (16), of the page (16)
  u64 text_words;
  u64 bound_words;
  // Worker-written: the run under way.
  u64 position;     // position + 1 of its message, 0 = none
  u64 iteration;
  u64 step;
  u64 service;      // ticks of the launches before this one
};
static_assert(sizeof(ProgramHeader) == 64);
struct BoundStep {  // worker-written: handles looked up, checked
  u64 kernel;       // Compute: a KernelEntry*
  u64 words;        // Compute: data, sizes, shapes, params, space. Write: where it goes
  u64 shapes;       // Compute: how many shape words. Write: bytes
  u64 detail;       // Compute: one slice does. Write: bytes of a repeated element, 0 = none
};
static_assert(sizeof(BoundStep) == 32);

// [R9] exactly one a message; the worker's own clock, in ticks of that clock.
struct alignas(32) CompletionEntry {
  u64 sequence;  // position + 1, stored last
  u16 status;
  u16 detail;    // bytes of the page that explain an error, 0 = none
  u32 service;   // taken to done, ticks, saturating
  u64 value;
  u64 taken;
};
static_assert(sizeof(CompletionEntry) == 32);

// Handle: 24 bits id, 40 bits generation. Generation 0 is never handed out.
inline constexpr u32 kHandleIdBits = 24;
GPURES_HD u32 handle_id(u64 handle) { return u32(handle) & ((1u << kHandleIdBits) - 1); }
GPURES_HD u64 handle_generation(u64 handle) { return handle >> kHandleIdBits; }
GPURES_HD u64 make_handle(u32 id, u64 generation) { return generation << kHandleIdBits | id; }

struct HandleEntry {  // worker-written only [R10]
  u64 handle;         // 0 = free
  u64 bytes;
  u64 base;
  u32 grain;
  u32 block;
};
static_assert(sizeof(HandleEntry) == 32);

struct BlockEntry {  // host-written before the Allocate that names it; worker reads only
  u64 base;
  u64 bytes;
  u64 ring;          // the ring that may name it
  u64 reserved;
};
static_assert(sizeof(BlockEntry) == 32);

enum KernelFlag : u8 {
  kKernelMap = 1,        // every array needs what its rule says; nothing is checked inside
  kKernelReduction = 2,
  kKernelWhole = 4,      // called once over the whole range
  kKernelMayFault = 8,   // called under the guard
  kKernelUser = 16,      // completions are published before it runs
  kKernelStraight = 32,  // a user's without a loop in its body: slices as long as the library's
};
enum ElementsRule : u8 { kAnySize = 0, kAtLeastN = 1, kAtLeastOne = 2, kOnlyOne = 3 };

struct KernelArray {
  u8 item_bytes;
  u8 rule;   // ElementsRule
  u8 ndim;   // 0 and 1: no shape words
  u8 writes;
};
struct KernelEntry {  // immutable once its id is in a message
  u64 code;           // host driver: a gpures_kernel; CUDA: unused, the image dispatches by `id`
  u8 arrays;
  u8 param_words;
  u8 indices;
  u8 flags;
  u32 shape_words;
  u32 id;             // its own place in the table: what a device image's dispatch switches on
  KernelArray array[64];
};

// Control words. Each has one writer [R1] and its own cache line.
struct alignas(64) Word {
  u64 value;
};
struct EngineControl {
  Word park_epoch;     // host: leave when >= the launch's epoch
  Word stop;           // host: non-zero = cut work short and leave [R7]
  Word cancels;        // host: how many cancel entries were ever written, over all rings
  Word started_epoch;  // worker 0
  Word exited_epoch;   // the last worker out
};
struct WorkerShared {  // worker-side memory, seen by every worker of the launch
  Word leave;          // epoch to leave at
  Word stop;           // copy of EngineControl::stop, read inside index loops
  Word cancels;        // copy of EngineControl::cancels
  Word left;           // workers that have left, over all launches
};
// How far a program is, for a progress bar: `iteration` is stored first, `position` with release.
struct alignas(64) Progress {
  u64 iteration;
  u64 position;        // position + 1 of its message
};
inline constexpr u32 kCancelEntries = 8;
struct CancelEntry {
  u64 grain;
  u64 last;            // last position it covers, plus one
};
struct RingControl {
  Word done;           // worker: position after the last published completion
  Word current;        // worker: position + 1 of the message that runs
  Word beat;           // worker: moved by long work
  Progress progress;   // worker: the program that runs, as of its last launch
  Word wake;           // WakeState, exchanged by host threads only; never used on CUDA
  Word cancel_count;   // host, after the entry it counts
  alignas(64) CancelEntry cancel[kCancelEntries];
};
enum WakeState : u64 { kAwake = 0, kAsleep = 1, kOut = 2 };
struct alignas(64) RingState {  // worker memory: survives a launch
  u64 head;                     // next position to take
  u64 active;                   // clock of the last message, for the linger of all rings
  u64 cancels_seen;
  u64 cancel_count;
  u64 failed_batch[kBatchLanes];  // by lane: the newest batch that ended with an error
  CancelEntry cancel[kCancelEntries];
};

// Everything a worker gets: plain pointers, never const __restrict__ (a persistent kernel would
// read stale lines through the read-only cache).
struct RingView {
  Slot* slots;
  u8* pages;
  CompletionEntry* completions;
  RingControl* control;
  RingState* state;
  u64 slot_count;  // power of two
  u32 index;
};
struct WorkFault;       // of a plain launch: the host's business
struct EngineView {
  EngineControl* control;
  WorkerShared* shared;
  RingState* states;      // all rings, for the linger
  HandleEntry* handles;
  BlockEntry* blocks;
  u64* holders;           // handle that holds a block; worker-written
  KernelEntry* const* kernels;
  u8* staging;
  WorkFault* work_faults;  // worker memory
  WorkFault* seen_faults;  // their copies, shared memory
  Word* begun_works;       // written by plain launches, shared memory
  u64 handle_capacity;
  u64 block_capacity;
  u64 kernel_capacity;    // entries of `kernels` that may be read
  u64 staging_chunks;
  u64 linger_ticks;
  u64 lease_ticks;
  u64 publish_ticks;      // age at which an unpublished completion goes out
  u32 rings;              // workers in this launch
};

}  // namespace gpures
