// Two threads, four slots: every payload word, page word and completion word arrives whole, in
// order, once, lap after lap.  [R2][R3][R9]
#include "litmus/support.hpp"

using namespace litmus;

namespace {

constexpr u64 kSlots = 4;
constexpr u64 kMessages = 2'000'000 / kShare;

void produce(const RingMemory& ring, std::atomic<u64>& reached) {
  u64 taken = 0;
  const auto take_completion = [&] {
    const CompletionEntry& entry = ring.completion(taken);
    if (!is_published<HostWords>(entry, taken)) return false;
    CompletionEntry answer;
    copy_completion<HostWords>(answer, entry);
    CHECK_EQUAL(answer.value, scramble(taken, 1));
    CHECK_EQUAL(answer.taken, scramble(taken, 2));
    CHECK_EQUAL(*ring.page(taken), scramble(taken, 4));
    reached.store(++taken, std::memory_order_relaxed);
    return true;
  };
  for (u64 position = 0; position < kMessages; ++position) {
    while (position - taken >= kSlots) {
      if (!take_completion()) std::this_thread::yield();
    }
    Slot message{};
    message.request = scramble(position, 5);
    message.opcode = u16(Opcode::kNoop);
    for (u64& word : message.payload) word = scramble(position, u64(&word - message.payload));
    *ring.page(position) = scramble(position, 3);
    commit<HostWords>(ring.slot(position), message, position);
  }
  while (taken < kMessages) {
    if (!take_completion()) std::this_thread::yield();
  }
}

void consume(RingMemory& ring) {
  u64 head = 0;
  while (head < kMessages && check::failures == 0) {
    u64 end = head;
    while (end - head < kSlots && is_ready<HostWords>(ring.slot(end), end)) {
      Slot message;
      copy_message<HostWords>(message, ring.slot(end));
      CHECK_EQUAL(message.request, scramble(end, 5));
      CHECK_EQUAL(message.payload[0], scramble(end, 0));
      CHECK_EQUAL(message.payload[4], scramble(end, 4));
      CHECK_EQUAL(*ring.page(end), scramble(end, 3));
      *ring.page(end) = scramble(end, 4);  // a Read answers into its own page
      CompletionEntry answer{};
      answer.value = scramble(end, 1);
      answer.taken = scramble(end, 2);
      put_completion<HostWords>(ring.completion(end), answer);
      ++end;
    }
    if (end == head) std::this_thread::yield();
    publish<HostWords>(ring.view, head, end);
    head = end;
  }
}

}  // namespace

int main() {
  RingMemory ring(kSlots);
  Watchdog watchdog("litmus_ring");
  std::thread worker([&] { consume(ring); });
  produce(ring, watchdog.reached);
  worker.join();
  CHECK_EQUAL(ring.view.control->done.value, kMessages);
  return check::result();
}
