// Posting: a message gets its request and its slot.
#include "host/ring_host.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "host/clock.hpp"
#include "host/engine.hpp"

namespace gpures {

RingHost::RingHost(Engine& engine, const RingView& view, std::atomic<u64>& answered)
    : view(view),
      spin(engine.options().spin_ns),
      engine_(engine),
      waiting_(view.slot_count),
      answered_(answered) {}

Post RingHost::post(Grain& grain, Outgoing& message, bool part) {
  WakeState found;
  {
    std::lock_guard guard(mutex_);
    if (refusing_) return Post::kClosed;
    if (!room()) {
      harvest();
      if (!room()) return Post::kFull;
    }
    if (grain.sending && !part) return Post::kFull;  // a transfer in parts is one message
    const bool behind = is_held_back(grain) || (message.uses && is_busy(*message.uses, tickets_));
    const bool barrier =
        message.slot.opcode == u16(Opcode::kBarrier) && (held_count_ != 0 || !flying_.empty());
    if (!message.request) message.request = take_request(grain, message.slot.opcode);
    message.request->kernel = message.kernel;
    add_pending(1);
    if (behind || barrier) {
      enqueue(grain, message);
      return Post::kHeld;
    }
    ++tickets_;
    place(grain, message);
    found = committed();
  }
  if (found != kAwake) engine_.kick(view.index, found);
  return Post::kPosted;
}

u64 RingHost::post_batch(Grain& grain, const Slot* messages, u64 count, Request& request) {
  WakeState found;
  u64 fitted;
  {
    std::lock_guard guard(mutex_);
    if (refusing_ || grain.sending || grain.hold != 0 || grain.flying != 0 || held_count_ != 0) {
      return 0;
    }
    if (view.slot_count - (next_ - taken_) < count) harvest();
    fitted = std::min(count, view.slot_count - (next_ - taken_));
    if (fitted == 0) return 0;
    const u64 posted = ticks();
    const u64 mask = view.slot_count - 1;
    for (u64 n = 0; n < fitted; ++n) {
      const u64 position = next_ + n;
      Slot message = messages[n];
      message.request = request.id;
      message.grain = grain.index;
      waiting_[position & mask] = {&request, nullptr, posted, 0, kNoChunk};
      commit<HostWords>(view.slots[position & mask], message, position);
    }
    next_ += fitted;
    note_placed();
    request.position.store(next_ - 1, std::memory_order_release);
    grain.inflight += u32(fitted);
    tickets_ += fitted;
    add_pending(i64(fitted));
    found = committed();
  }
  if (found != kAwake) engine_.kick(view.index, found);
  return fitted;
}

u64 RingHost::post_parts(Grain& grain, u32 lane, const Source& source, u64 first, u64 count,
                         Request& request) {
  WakeState found;
  u64 fitted;
  {
    std::lock_guard guard(mutex_);
    if (refusing_ || is_held_back(grain)) return 0;
    if (view.slot_count - (next_ - taken_) < count + held_count_) harvest();
    const u64 taken = next_ - taken_ + held_count_ + flying_.size();
    fitted = std::min(count, view.slot_count - std::min(view.slot_count, taken));
    if (fitted == 0) return 0;
    const u64 posted = ticks();
    const u64 mask = view.slot_count - 1;
    for (u64 n = 0; n < fitted; ++n) {
      const u64 position = next_ + n;
      Slot message{};
      source.fill(first + n, message, view.pages + (position & mask) * kPageBytes);
      message.request = request.id;
      message.grain = grain.index;
      message.flags = u16(kBatchMember | lane << kBatchLaneShift);
      waiting_[position & mask] = {&request, nullptr, posted, 0, kNoChunk};
      commit<HostWords>(view.slots[position & mask], message, position);
    }
    next_ += fitted;
    note_placed();
    request.position.store(next_ - 1, std::memory_order_release);
    grain.inflight += u32(fitted);
    tickets_ += fitted;
    add_pending(i64(fitted));
    found = committed();
  }
  if (found != kAwake) engine_.kick(view.index, found);
  return fitted;
}

bool RingHost::post_always(Grain& grain, Outgoing& message) {
  WakeState found;
  {
    std::lock_guard guard(mutex_);
    if (refusing_) return false;
    if (!room()) harvest();
    message.request = take_request(grain, message.slot.opcode);
    add_pending(1);
    if (!room() || is_held_back(grain)) {
      enqueue(grain, message);
      return true;
    }
    ++tickets_;
    place(grain, message);
    found = committed();
  }
  if (found != kAwake) engine_.kick(view.index, found);
  return true;
}

bool RingHost::might_post(const Grain& grain) {
  std::lock_guard guard(mutex_);
  return refusing_ || (room() && !grain.sending);
}

bool RingHost::has_room() {
  std::lock_guard guard(mutex_);
  return refusing_ || room();
}

Post RingHost::post_allocate(Grain& grain, Outgoing& message, u64& handle) {
  u32 id;
  {
    std::lock_guard guard(mutex_);
    if (free_ids_.empty()) {
      id = engine_.fresh_handle_id();
    } else {
      id = free_ids_.back();
      free_ids_.pop_back();
    }
  }
  handle = make_handle(id, engine_.new_generation(id));
  auto& allocate = *reinterpret_cast<AllocateMessage*>(message.slot.payload);
  allocate.handle = handle;
  const Post result = post(grain, message);
  if (result == Post::kFull || result == Post::kClosed) {
    std::lock_guard guard(mutex_);
    free_ids_.push_back(id);
    return result;
  }
  return result;
}

bool RingHost::begin_parts(Grain& grain) {
  std::lock_guard guard(mutex_);
  if (grain.sending) return false;
  grain.sending = true;
  return true;
}

void RingHost::end_parts(Grain& grain) {
  std::lock_guard guard(mutex_);
  grain.sending = false;
}

u32 RingHost::begin_batch(Grain& grain) {
  std::lock_guard guard(mutex_);
  const u32 lane = u32(std::countr_one(lanes_));
  if (grain.sending || lane >= kBatchLanes) return kNoLane;
  grain.sending = true;
  lanes_ |= 1u << lane;
  return lane;
}

// The lane's next batch lies behind all of this one, so the worker needs no word of the end.
void RingHost::end_batch(Grain& grain, u32 lane) {
  std::lock_guard guard(mutex_);
  grain.sending = false;
  lanes_ &= ~(1u << lane);
}

// Under the lock, with room. [R2]: page and payload before the sequence.
void RingHost::place(Grain& grain, Outgoing& message) {
  const u64 position = next_++;
  const u64 index = position & (view.slot_count - 1);
  if (message.page_bytes) {
    std::memcpy(view.pages + index * kPageBytes, message.page, message.page_bytes);
  }
  Request& request = *message.request;
  message.slot.request = request.id;
  message.slot.grain = grain.index;
  waiting_[index] = {&request,      static_cast<u8*>(message.destination),
                     ticks(),       message.destination_bytes,
                     message.chunk, message.uses && !message.uses->empty()};
  outside_runs_ += waiting_[index].outside;
  if (message.uses) {
    for (Grain* used : *message.uses) ++used->touched;
  }
  request.position.store(position, std::memory_order_release);
  ++grain.inflight;
  if (message.slot.opcode == u16(Opcode::kRelease)) {
    engine_.pool->give_back(message.block, view.index, position);
    if (!message.keeps_id) recycle_handle(message.slot.payload[0]);
  }
  note_placed();
  commit<HostWords>(view.slots[index], message.slot, position);
}

// The Release lies in its slot: an Allocate of this ring that follows may use the id. An id whose
// generation ends is retired.
void RingHost::recycle_handle(u64 handle) {
  if (handle_generation(handle) < (u64{1} << (64 - kHandleIdBits)) - 2) {
    free_ids_.push_back(handle_id(handle));
  }
}

bool RingHost::poll() {
  bool moved;
  WakeState found = kAwake;
  {
    std::lock_guard guard(mutex_);
    moved = harvest();
    if (held_count_ != 0 && flush_held()) {
      moved = true;
      found = committed();
    }
  }
  if (found != kAwake) engine_.kick(view.index, found);
  return moved;
}

Request* RingHost::new_request(Grain& grain, u16 opcode) {
  std::lock_guard guard(mutex_);
  return take_request(grain, opcode);
}

Request* RingHost::take_request(Grain& grain, u16 opcode) {
  if (!free_requests_) free_requests_ = engine_.lend_requests();
  if (next_id_ == last_id_) {
    next_id_ = engine_.lend_ids();
    last_id_ = next_id_ + Engine::kIdRun;
  }
  Request* request = free_requests_;
  free_requests_ = request->next;
  request->state.store(0, std::memory_order_relaxed);
  request->seen = false;
  request->unseen_round = 0;
  request->position.store(kNoPosition, std::memory_order_relaxed);
  request->notify = -1;
  request->id = next_id_++;
  request->grain = &grain;
  request->parts = 1;
  request->opcode = opcode;
  request->kernel = 0;
  request->status = Status::kOk;
  request->value = 0;
  request->failed_left = 0;
  std::fill(request->fault, request->fault + 8, 0);  // no error may quote an earlier one's detail
  request->queue_ns = request->service_ns = request->round_trip_ns = 0;
  request->keep = nullptr;
  return request;
}

}  // namespace gpures
