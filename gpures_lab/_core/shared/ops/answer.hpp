// What an operation gives back; the serve loop turns it into the message's one completion. [R9]
#pragma once

#include "../layout.hpp"

namespace gpures {

struct Answer {
  Status status = Status::kOk;
  u16 detail = 0;  // bytes the operation left in the page to explain an error
  u64 value = 0;
};

template <class Message>
GPURES_HD const Message& payload_of(const Slot& slot) {
  static_assert(sizeof(Message) <= kInlineBytes);
  return *reinterpret_cast<const Message*>(slot.payload);
}

}  // namespace gpures
