// Release: the handle is dead from here on; the host returned its block to this ring's free list
// when this message was placed in its slot, so later Allocates of the ring may name it.
#pragma once

#include "../tables.hpp"
#include "answer.hpp"

namespace gpures {

struct Release {
  static constexpr Opcode kOpcode = Opcode::kRelease;

  template <class Env>
  GPURES_HD static Answer run(Env& env, const EngineView& engine, RingView&, const Slot& slot,
                              u8*) {
    const auto& message = payload_of<ReleaseMessage>(slot);
    const Resolved found = resolve(engine, message.handle, slot.grain);
    if (found.status != Status::kOk) return {found.status};
    env.sync();
    if (env.leader()) {
      engine.holders[found.entry->block] = 0;
      found.entry->handle = 0;
    }
    return {};
  }
};

}  // namespace gpures
