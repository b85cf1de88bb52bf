// The host's side of one message: pending, then answered exactly once. [R9]
#pragma once

#include <atomic>

#include "shared/layout.hpp"

namespace gpures {

class Grain;

inline constexpr u64 kNoPosition = ~u64{0};
inline constexpr u64 kOnStream = ~u64{0} - 1;  // in no slot, but no longer held back
inline constexpr u64 kUnmeasured = ~u64{0};    // a time that no clock gave

struct Request {
  // Two owners, the ring and one caller; the second of these bits to be set ends the request.
  enum State : u32 { kAnswered = 1, kDropped = 2 };

  std::atomic<u32> state{0};
  std::atomic<u64> position{kNoPosition};  // of its last part, once in a slot
  int notify = -1;  // descriptor to write to when answered; under the ring's lock
  u64 id = 0;
  Grain* grain = nullptr;
  u32 parts = 1;        // slots still to be answered (a large transfer has several)
  u32 failed_left = 0;  // parts left when the first of them failed, that one included
  u16 opcode = 0;
  u32 kernel = 0;
  Status status = Status::kOk;
  u64 value = 0;
  u64 queue_ns = 0, service_ns = 0, round_trip_ns = 0;
  i64 fault[8] = {};        // set with kOutOfBounds
  bool seen = false;        // somebody looked at its outcome; under the engine's lock
  u32 unseen_round = 0;     // it failed: the report that is to say so, 0 = none; likewise
  void* keep = nullptr;     // a Python object to drop under the GIL
  Request* next = nullptr;  // free list, graveyard

  bool answered() const { return state.load(std::memory_order_acquire) & kAnswered; }
};

// What a report says of a request that failed without anybody looking.
struct UnseenFailure {
  u64 id, value;
  u16 opcode;
  Status status;
  u32 grain, kernel, failed_left;
  i64 fault[8];
};

// One row of the message trace, in ticks; where Python reads it, in ns since the trace began.
struct TraceRow {
  u64 posted, taken, done, request;
  u32 grain, kernel;
  u16 opcode, status;
  u32 ring;
};
static_assert(sizeof(TraceRow) == 48);  // ROW of metrics/trace.py

}  // namespace gpures
