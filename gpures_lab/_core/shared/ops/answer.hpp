// What an operation gives back; the serve loop turns it into the message's one completion. [R9]
#pragma once

#include "../layout.hpp"

namespace gpures {

struct Answer {
  Status status;
  u16 detail;  // bytes the operation left in the page to explain an error
  u64 value;

  // A constructor, not an aggregate: NVRTC keeps constant aggregates in global memory and fetches
  // each answer through the read-only cache.
  GPURES_HD Answer(Status status = Status::kOk, u16 detail = 0, u64 value = 0)
      : status(status), detail(detail), value(value) {}
};

template <class Message>
GPURES_HD const Message& payload_of(const Slot& slot) {
  static_assert(sizeof(Message) <= kInlineBytes);
  return *reinterpret_cast<const Message*>(slot.payload);
}

}  // namespace gpures
