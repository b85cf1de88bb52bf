// Works of the streams in their grain's order: held back like messages behind a borrow, started by
// the engine once everything before them has ended, and in the way of everything after. [R11]
#include <algorithm>
#include <cstring>

#include "host/clock.hpp"
#include "host/engine.hpp"
#include "host/ring_host.hpp"

namespace gpures {

Post RingHost::post_work(Grain& grain, Outgoing& message, std::unique_ptr<StreamWork>& work,
                         bool part, bool always) {
  {
    std::lock_guard guard(mutex_);
    if (refusing_) return Post::kClosed;
    if (!always) {
      if (!room()) harvest();
      if (!room() || (grain.sending && !part)) return Post::kFull;
    }
    if (!message.request) message.request = take_request(grain, message.slot.opcode);
    message.request->kernel = message.kernel;
    add_pending(1);
    enqueue(grain, message);
    grain.held->back().work = std::move(work);
  }
  engine_.work_posted();
  return Post::kHeld;
}

bool RingHost::post_passing(Grain& grain, Outgoing& message, std::unique_ptr<StreamWork>& work) {
  {
    std::lock_guard guard(mutex_);
    if (closed_) return false;
    add_pending(1);
    passing_.emplace_back(&grain, Held{message, {}, {}, tickets_++, std::move(work)});
  }
  engine_.work_posted();
  return true;
}

void RingHost::take_off(Held& held, Grain& grain, u32 stream, Flying& next) {
  grain.stream = stream;
  next.ring = this;
  next.grain = &grain;
  next.message = held.message;
  next.work = std::move(held.work);
  next.ticket = held.ticket;
  next.message.request->position.store(kOnStream, std::memory_order_release);
  flying_.push_back(held.ticket);
  flown_ += next.work->is_message;
  ++grain.flying;
}

bool RingHost::next_passing(u32 stream, Flying& next) {
  for (auto at = passing_.begin(); at != passing_.end(); ++at) {
    auto& [grain, held] = *at;
    if (stream_of(held.work->kind) != stream) continue;
    if (grain->flying != 0 && grain->stream != stream) continue;
    take_off(held, *grain, stream, next);
    passing_.erase(at);
    return true;
  }
  return false;
}

// A grain's next work follows the one before at once if the same stream keeps their order.
bool RingHost::next_work(u32 stream, Flying& next) {
  std::lock_guard guard(mutex_);
  if (closed_) return false;
  if (next_passing(stream, next)) return true;
  harvest();
  if (outside_runs_ != 0) return false;
  for (Grain* grain : holding_) {
    Held& front = grain->held->front();
    if (!front.work || grain->hold != 0 || grain->inflight != 0) continue;
    if (stream_of(front.work->kind) != stream) continue;
    if (grain->flying != 0 && grain->stream != stream) continue;
    take_off(front, *grain, stream, next);
    --held_count_;
    grain->held->pop_front();
    if (grain->held->empty()) std::erase(holding_, grain);
    return true;
  }
  return false;
}

void RingHost::end_work(Flying& flown, const WorkResult& result) {
  Outgoing& message = flown.message;
  Request& request = *message.request;
  // Without the lock: a megabyte is 100 us, and the request lives until it is answered.
  if (message.destination && result.status == Status::kOk) {
    std::memcpy(message.destination, engine_.chunk(message.chunk), message.destination_bytes);
  }
  if (message.chunk != kNoChunk) engine_.return_chunk(message.chunk);
  flown.work->scratch = {};  // before the answer: whoever has it may count on this memory
  WakeState found = kAwake;
  {
    std::lock_guard guard(mutex_);
    std::erase(flying_, flown.ticket);
    --flown.grain->flying;
    add_pending(-1);
    if (result.status == Status::kOutOfBounds) {
      std::copy(result.fault, result.fault + kFaultWords, request.fault);
    }
    const TickScale& scale = TickScale::get();
    const u64 now = ticks();
    const u64 posted = flown.work->posted;
    if (engine_.tracing() && flown.work->is_message) {
      const u64 length = std::min(scale.from_ns(result.service_ns), now - posted);
      const u64 begun = result.begun != 0 ? result.begun : now - length;
      engine_.trace({posted, begun, begun + length, request.id, flown.grain->index, request.kernel,
                     request.opcode, u16(result.status), view.index});
    }
    const u64 queue = result.begun != 0 ? scale.to_ns(result.begun - posted) : kUnmeasured;
    if (flown.work->is_message) {
      account(request, result.status, result.value, queue, result.service_ns,
              scale.to_ns(now - posted), now);
    } else if (--request.parts == 0) {
      answer(&request);
    }
    if (!closed_ && flush_held()) found = committed();
  }
  if (found != kAwake) engine_.kick(view.index, found);
}

// The device may still be at it: its chunk and its blocks are given to nobody.
void RingHost::abandon_work(Flying& flown, Status cause) {
  std::lock_guard guard(mutex_);
  std::erase(flying_, flown.ticket);
  --flown.grain->flying;
  flown.message.chunk = kNoChunk;
  answer_here(flown.message, cause);
}

}  // namespace gpures
