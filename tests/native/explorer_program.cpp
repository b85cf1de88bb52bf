// A program that leaves with its launch goes on in the next one: every step of every iteration
// once, in order, and one completion.  [R9][R12]
#include "explorer/run.hpp"

using namespace explore;

namespace {

constexpr u64 kHandle = u64{1} << kHandleIdBits | 1;

Slot run_of_program() {
  Slot message = message_of(Opcode::kRunProgram, 1);
  auto& run = *reinterpret_cast<RunProgramMessage*>(message.payload);
  run.program = kHandle;
  run.repeat = setup.repeats;
  run.every = 1;
  return message;
}

void program_poster_body(u32 ring) {
  for (u32 n = 0; n < setup.messages[ring]; ++n) post(ring, run_of_program());
}

// Two steps that differ in their count, so that the order shows.
void start_program() {
  zero_memory();
  world.handles[1] = {kHandle, sizeof(world.program), u64(world.program), kProgramOwner, 0};
  program_header() = {2, 0, 0, 2 * kMaxIndices, 0, 0, 0, 0};
  auto* const steps = reinterpret_cast<Slot*>(world.program + 8);
  for (u64 s = 0; s < 2; ++s) {
    steps[s].opcode = u16(Opcode::kCompute);
    steps[s].grain = 1;
    auto& compute = *reinterpret_cast<ComputeMessage*>(steps[s].payload);
    compute.indices = 1;
    compute.n = 1 + s;
  }
  machine.spawn("poster", program_poster_body, 0);
  spawn_others();
}

}  // namespace

int main(int count, char** arguments) {
  read_arguments(count, arguments);
  Setup once;
  once.messages[0] = 1;
  once.repeats = 2;
  once.lease_jumps = 2;
  Setup twice = once;
  twice.messages[0] = 2;
  twice.readers = 1;
  Setup parked = once;
  parked.lease_jumps = 0;
  parked.parker = true;
  Setup device = twice;
  device.device = true;
  device.keeper = true;

  holds("host: a program leaves twice and goes on", once, {}, start_program);
  holds("host: two runs of one program, across leases", twice, {}, start_program);
  holds("host: quiesced() in the middle of a program", parked, {}, start_program);
  holds("device: two runs of one program, across leases", device, {}, start_program);

  is_caught("[R12] a program's progress does not outlive its launch", once, Break::kProgressLost,
            {}, start_program);
  is_caught("[R12] a run goes on where an earlier one ended", twice, Break::kProgressOfAnother, {},
            start_program);
  return check::result();
}
