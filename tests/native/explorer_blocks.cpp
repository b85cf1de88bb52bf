// A block changes hands in ring order: the worker never meets an Allocate for a block that is
// still held.  [R8][R10]
#include "explorer/run.hpp"

using namespace explore;

namespace {

constexpr u64 handle_of(u32 id) { return u64{1} << kHandleIdBits | id; }

Slot allocate_of(u32 id, u32 grain) {
  Slot message = message_of(Opcode::kAllocate, grain);
  message.payload[0] = handle_of(id);
  message.payload[1] = kBlockBytes;
  return message;  // block 0
}

Slot release_of(u32 id, u32 grain) {
  Slot message = message_of(Opcode::kRelease, grain);
  message.payload[0] = handle_of(id);
  return message;
}

// The pool's one block: which ring may have it at once, and after which position any other.
void give_back(u64 position) {
  world.host.block_free = 1;
  world.host.block_ring = 0;
  world.host.block_position = position;
}

// Its Release is held back for a while (a wide kernel, borrow()).
void first_owner_body(u32) {
  post(0, allocate_of(1, 1));
  if (broken(Break::kReturnAtRelease)) give_back(0);
  machine.block_until([] { return true; });
  give_back(post(0, release_of(1, 1)));
}

void second_owner_body(u32 ring) {
  machine.block_until([ring] {
    const Host& host = world.host;
    return host.block_free != 0 && (host.block_ring == ring || broken(Break::kReturnToOther) ||
                                    host.harvested[host.block_ring] > host.block_position);
  });
  Words::put(world.blocks[0].ring, ring);
  post(ring, allocate_of(2, 2));
  post(ring, release_of(2, 2));
}

void start_blocks() {
  zero_memory();
  world.blocks[0] = {u64(&world.memory[0]), kBlockBytes, 0, 0};
  machine.spawn("first owner", first_owner_body, 0);
  machine.spawn("second owner", second_owner_body, setup.rings - 1);
  spawn_others();
}

}  // namespace

int main(int count, char** arguments) {
  read_arguments(count, arguments);
  Setup one;
  one.slots = 4;
  one.messages[0] = 4;
  one.lease_jumps = 1;
  Setup two = one;
  two.rings = 2;
  two.slots = 2;
  two.messages[0] = two.messages[1] = 2;
  two.readers = 1;
  two.lease_jumps = 0;
  Setup device = two;
  device.device = true;

  holds("host: release, then the same ring rents the block", one, {}, start_blocks);
  holds("host: release, then another ring rents the block", two, {}, start_blocks);
  holds("device: release, then another ring rents the block", device, {}, start_blocks);

  is_caught("block returned when release() was called", one, Break::kReturnAtRelease, {},
            start_blocks);
  is_caught("another ring before the Release completed", two, Break::kReturnToOther, {},
            start_blocks);
  return check::result();
}
