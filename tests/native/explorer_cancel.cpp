// cancel() of messages in slots: never another grain's, never too late to count, entries reused
// only when nothing they cover is open.
#include "explorer/run.hpp"

using namespace explore;

namespace {

constexpr u64 handle_of(u32 grain) { return u64{1} << kHandleIdBits | grain; }

Slot write_of(u32 grain) {
  Slot message = message_of(Opcode::kWrite, grain);
  message.payload[0] = handle_of(grain);
  message.payload[2] = 8;  // bytes; from the page
  return message;
}

// The same entry every time: reuse is what can go wrong.
void cancel(u32 grain) {
  Host& host = world.host;
  CancelEntry& entry = world.ring_control[0].cancel[0];
  u64& mutex = host.ring_lock[0];
  machine.block_until([&entry, &host, &mutex] {
    return mutex == 0 && (entry.last <= host.harvested[0] || broken(Break::kReuseCancel));
  });
  mutex = 1;
  const u64 last = host.posted[0];
  host.cancel_grain[host.cancels] = grain;
  host.cancel_last[host.cancels++] = last;
  if (broken(Break::kCountBeforeEntry)) {
    Words::store_release_sys(world.control.cancels.value, host.cancels);
  }
  if (broken(Break::kTornCancel)) {
    Words::put(entry.grain, grain);
    Words::put(entry.last, last);
    Words::store_release_sys(world.ring_control[0].cancel_count.value, host.cancels);
  } else {
    write_cancel<Words>(world.ring_control[0], (host.cancels - 1) * kCancelEntries, grain, last);
  }
  if (!broken(Break::kCountBeforeEntry)) {
    Words::store_release_sys(world.control.cancels.value, host.cancels);
  }
  unlock(mutex);
  host.cancels_done = host.cancels;
}

void canceller_body(u32) {
  post(0, write_of(1));
  cancel(1);
  if (setup.messages[0] == 1) return;
  post(0, write_of(2));
  post(0, write_of(1));
  cancel(2);
  if (setup.messages[0] == 4) post(0, write_of(2));
}

void start_cancels() {
  zero_memory();
  for (u32 grain = 1; grain <= 2; ++grain) {
    HandleEntry& entry = world.handles[grain];
    entry = {handle_of(grain), kBlockBytes, u64(&world.memory[grain - 1]), grain, grain - 1};
  }
  machine.spawn("canceller", canceller_body, 0);
  spawn_others();
}

}  // namespace

int main(int count, char** arguments) {
  read_arguments(count, arguments);
  Setup entries;
  entries.slots = 4;
  entries.messages[0] = 3;
  entries.readers = 1;
  entries.cancels = 2;
  Setup relaunched = entries;
  relaunched.messages[0] = 4;
  relaunched.lease_jumps = 1;
  Setup device = entries;
  device.device = true;
  Setup once = device;
  once.messages[0] = 1;
  once.cancels = 1;
  Limits all;
  all.preemptions = kAll;

  holds("host: one entry cancels for two grains", entries, {}, start_cancels);
  holds("host: the same across a lease", relaunched, {}, start_cancels);
  holds("device: one entry cancels for two grains", device, {}, start_cancels);
  holds("device: one message, cancelled", once, all, start_cancels);

  is_caught("cancel told before its entry", once, Break::kCountBeforeEntry, all, start_cancels);
  is_caught("cancel entry changed in one pass", entries, Break::kTornCancel, {}, start_cancels);
  is_caught("cancel entry reused too early", entries, Break::kReuseCancel, {}, start_cancels);
  return check::result();
}
