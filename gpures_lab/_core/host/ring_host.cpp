#include "host/ring_host.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "host/clock.hpp"
#include "host/engine.hpp"
#include "shared/cancel.hpp"
#include "shared/ops/program.hpp"
#include "shared/wake.hpp"

namespace gpures {

RingHost::RingHost(Engine& engine, const RingView& view, std::atomic<u64>& answered)
    : view(view), engine_(engine), waiting_(view.slot_count), answered_(answered) {}

// A device's worker announces nothing: it polls, or its launch has exited.
inline WakeState RingHost::committed() {
  if (engine_.on_device()) return engine_.seems_exited() ? kOut : kAwake;
  return after_commit<HostWords>(*view.control);
}

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
    const bool behind = grain.hold != 0 || (grain.held && !grain.held->empty());
    const bool barrier = message.slot.opcode == u16(Opcode::kBarrier) && held_count_ != 0;
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

void RingHost::enqueue(Grain& grain, const Outgoing& message) {
  if (!grain.held) grain.held = std::make_unique<std::deque<Held>>();
  if (grain.held->empty()) holding_.push_back(&grain);
  const u8* page = static_cast<const u8*>(message.page);
  grain.held->push_back({message, {page, page + message.page_bytes}, tickets_++});
  ++held_count_;
}

u64 RingHost::post_batch(Grain& grain, const Slot* messages, u64 count, Request& request) {
  WakeState found;
  u64 fitted;
  {
    std::lock_guard guard(mutex_);
    if (refusing_ || grain.sending || grain.hold != 0 || held_count_ != 0) return 0;
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
    request.position.store(next_ - 1, std::memory_order_release);
    grain.inflight += u32(fitted);
    tickets_ += fitted;
    add_pending(i64(fitted));
    found = committed();
  }
  if (found != kAwake) engine_.kick(view.index, found);
  return fitted;
}

u64 RingHost::post_parts(Grain& grain, const Part* parts, u64 count, Request& request) {
  WakeState found;
  u64 fitted;
  {
    std::lock_guard guard(mutex_);
    if (refusing_ || grain.hold != 0 || (grain.held && !grain.held->empty())) return 0;
    if (view.slot_count - (next_ - taken_) < count + held_count_) harvest();
    const u64 taken = next_ - taken_ + held_count_;
    fitted = std::min(count, view.slot_count - std::min(view.slot_count, taken));
    if (fitted == 0) return 0;
    const u64 posted = ticks();
    const u64 mask = view.slot_count - 1;
    for (u64 n = 0; n < fitted; ++n) {
      const u64 position = next_ + n;
      Slot message = parts[n].slot;
      message.request = request.id;
      message.grain = grain.index;
      message.flags |= kBatchMember;
      if (parts[n].page_bytes) {
        std::memcpy(view.pages + (position & mask) * kPageBytes, parts[n].page,
                    parts[n].page_bytes);
      }
      waiting_[position & mask] = {&request, nullptr, posted, 0, kNoChunk};
      commit<HostWords>(view.slots[position & mask], message, position);
    }
    next_ += fitted;
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
    if (!room() || grain.hold != 0 || (grain.held && !grain.held->empty())) {
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
  waiting_[index] = {&request, static_cast<u8*>(message.destination), ticks(),
                     message.destination_bytes, message.chunk};
  request.position.store(position, std::memory_order_release);
  ++grain.inflight;
  if (message.slot.opcode == u16(Opcode::kRelease)) {
    engine_.pool->give_back(message.block, view.index, position);
    recycle_handle(message.slot.payload[0]);
  }
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

bool RingHost::has_news(const Request& request) const {
  const u64 position = request.position.load(std::memory_order_acquire);
  if (position == kNoPosition) return false;
  return is_published<HostWords>(view.completions[position & (view.slot_count - 1)], position);
}

bool RingHost::harvest() {
  if (taken_ == next_ || closed_) return false;
  const u64 first = taken_;
  u64 now = 0;
  while (taken_ != next_) {
    const u64 index = taken_ & (view.slot_count - 1);
    if (!is_published<HostWords>(view.completions[index], taken_)) break;
    if (now == 0) now = ticks();
    CompletionEntry answer;
    copy_completion<HostWords>(answer, view.completions[index]);
    take_one(answer, waiting_[index], now);
    ++taken_;
  }
  if (taken_ == first) return false;
  answered_.store(taken_, std::memory_order_release);
  add_pending(-i64(taken_ - first));
  return true;
}

void RingHost::take_one(const CompletionEntry& answer, Waiting& waiting, u64 now) {
  Request& request = *waiting.request;
  Grain& grain = *request.grain;
  const Status status = Status(answer.status);
  const u64 index = taken_ & (view.slot_count - 1);
  const u8* page = view.pages + index * kPageBytes;
  if (waiting.destination && status == Status::kOk) {
    const u8* from = waiting.chunk == kNoChunk ? page : engine_.chunk(waiting.chunk);
    std::memcpy(waiting.destination, from, waiting.destination_bytes);
  }
  if (waiting.chunk != kNoChunk) engine_.return_chunk(waiting.chunk);
  if (answer.detail == sizeof(request.fault)) std::memcpy(request.fault, page, answer.detail);

  const TickScale& scale = TickScale::get();
  const bool device = engine_.on_device();  // its clock counts nanoseconds, from another start
  const u64 queue =
      device ? kUnmeasured
             : scale.to_ns(std::max(answer.taken, waiting.posted) - waiting.posted);
  // A program's own account covers every launch it took, and does not saturate.
  const bool program =
      request.opcode == u16(Opcode::kRunProgram) && answer.detail == sizeof(request.fault);
  const u64 worked = program ? u64(request.fault[RunProgram::kService]) : answer.service;
  const u64 service = device ? worked : scale.to_ns(worked);
  const u64 round_trip = scale.to_ns(std::max(now, waiting.posted) - waiting.posted);
  if (!device) queue_.add(queue);
  service_.add(service);
  round_trip_.add(round_trip);
  ++processed_;
  --grain.inflight;
  ++grain.counts.messages;
  grain.counts.service_ns += service;
  if (status != Status::kOk) {
    ++failed_;
    ++grain.counts.failed;
  }
  if (engine_.tracing()) {
    engine_.trace({waiting.posted, answer.taken, answer.taken + answer.service, request.id,
                   grain.index, request.kernel, request.opcode, answer.status});
  }
  if (request.status == Status::kOk) {
    request.status = status;
    request.value = answer.value;
    if (status != Status::kOk) request.failed_left = request.parts;
  }
  if (request.queue_ns == 0) request.queue_ns = queue;
  request.service_ns += service;
  request.round_trip_ns = round_trip;
  if (--request.parts == 0) this->answer(&request);
}

void RingHost::answer(Request* request) {
  const int notify = request->notify;
  const u32 before = request->state.fetch_or(Request::kAnswered, std::memory_order_acq_rel);
  if (before & Request::kDropped) {  // nobody will look
    if (request->status != Status::kOk) engine_.note_unseen(*request);
    if (request->keep) {
      engine_.bury(request);
    } else {
      request->next = free_requests_;
      free_requests_ = request;
    }
    return;
  }
  if (notify >= 0) {
    const u64 one = 1;
    [[maybe_unused]] const auto written = write(notify, &one, sizeof one);
  }
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
  request->seen.store(false, std::memory_order_relaxed);
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

bool RingHost::may_go(const Held& front) const {
  if (front.message.slot.opcode != u16(Opcode::kBarrier)) return true;
  return std::all_of(holding_.begin(), holding_.end(), [&](const Grain* grain) {
    return grain->held->front().ticket >= front.ticket;
  });
}

bool RingHost::flush_held() {
  bool moved = false;
  bool again = !closed_;
  while (again) {
    again = false;
    for (size_t g = 0; g < holding_.size();) {
      Grain& grain = *holding_[g];
      while (grain.hold == 0 && !grain.held->empty() && next_ - taken_ < view.slot_count &&
             may_go(grain.held->front())) {
        Held& front = grain.held->front();
        front.message.page = front.page.data();
        place(grain, front.message);
        grain.held->pop_front();
        --held_count_;
        again = moved = true;
      }
      if (grain.held->empty()) {
        holding_[g] = holding_.back();
        holding_.pop_back();
      } else {
        ++g;
      }
    }
  }
  return moved;
}

void RingHost::abandon_parts(Request& request, u32 parts, Status cause) {
  std::lock_guard guard(mutex_);
  if (request.status == Status::kOk) request.status = cause;
  request.parts -= parts;
  if (request.parts == 0) answer(&request);
}

// Placed parts cannot be taken back, so a transfer that has begun goes on to its end.
bool RingHost::withdraw(Grain& grain, const Request& request) {
  std::lock_guard guard(mutex_);
  if (request.position.load(std::memory_order_relaxed) != kNoPosition) return false;
  if (!grain.held) return true;
  const auto removed = std::erase_if(*grain.held, [&](const Held& held) {
    if (held.message.request != &request) return false;
    if (held.message.chunk != kNoChunk) engine_.return_chunk(held.message.chunk);
    return true;
  });
  held_count_ -= removed;
  add_pending(-i64(removed));
  if (grain.held->empty()) std::erase(holding_, &grain);
  return true;
}

RingHost::Hold RingHost::try_hold(Grain& grain, u64 thread) {
  std::lock_guard guard(mutex_);
  const bool own = grain.hold != 0 && grain.holder == thread;
  if (grain.hold != 0 && !own) return Hold::kLater;
  if ((grain.held && !grain.held->empty()) || grain.sending) {
    return own ? Hold::kNever : Hold::kLater;
  }
  ++grain.hold;
  grain.holder = thread;
  return Hold::kDone;
}

RingHost::Watch RingHost::watch(Request& request, int descriptor) {
  std::lock_guard guard(mutex_);  // answers are given under it
  if (request.answered()) return Watch::kAnswered;
  const int now = request.notify;
  if (descriptor >= 0 && now >= 0 && now != descriptor) return Watch::kTaken;
  request.notify = descriptor;
  return Watch::kSet;
}

bool RingHost::unhold(Grain& grain) {
  bool free;
  {
    std::lock_guard guard(mutex_);
    free = --grain.hold == 0;
  }
  poll();
  return free;
}

bool RingHost::is_idle(const Grain& grain) {
  std::lock_guard guard(mutex_);
  return grain.inflight == 0;
}

bool RingHost::cancel(Grain& grain) {
  std::lock_guard guard(mutex_);
  harvest();
  if (closed_) return true;
  if (grain.inflight != 0) {
    // An entry of this grain that still covers something only grows: one store, nothing to tear.
    auto* const entries = view.control->cancel;
    auto* const own = std::find_if(entries, entries + kCancelEntries, [&](const CancelEntry& e) {
      return e.grain == grain.index && e.last > taken_;
    });
    if (own != entries + kCancelEntries) {
      HostWords::store_release_sys(own->last, next_);
    } else {
      if (entries[cancels_ % kCancelEntries].last > taken_) return false;  // another's, unanswered
      write_cancel<HostWords>(*view.control, cancels_, grain.index, next_);
      ++cancels_;
    }
    engine_.tell_cancel();
  }
  if (grain.held) {
    auto& held = *grain.held;
    for (auto it = held.begin(); it != held.end();) {
      if (!can_cancel(it->message.slot.opcode)) {
        ++it;
        continue;
      }
      answer_here(it->message, Status::kCancelled);
      it = held.erase(it);
      --held_count_;
    }
    if (held.empty()) std::erase(holding_, &grain);
  }
  return true;
}

// An answer that no worker gives: held back and dropped, or left behind at the end.
void RingHost::answer_here(const Outgoing& message, Status status) {
  if (message.chunk != kNoChunk) engine_.return_chunk(message.chunk);
  Request& request = *message.request;
  if (request.status == Status::kOk) request.status = status;
  add_pending(-1);
  if (--request.parts == 0) answer(&request);
}

void RingHost::refuse(Status cause) {
  std::lock_guard guard(mutex_);
  refusing_ = true;
  if (close_cause_ == Status::kOk) close_cause_ = cause;
}

void RingHost::close(Status cause) {
  std::lock_guard guard(mutex_);
  if (closed_) return;
  harvest();
  refusing_ = closed_ = true;
  if (close_cause_ == Status::kOk) close_cause_ = cause;
  for (; taken_ != next_; ++taken_) {
    const Waiting& waiting = waiting_[taken_ & (view.slot_count - 1)];
    Outgoing left;
    left.request = waiting.request;
    --waiting.request->grain->inflight;
    answer_here(left, cause);  // its staging chunk stays: a stalled worker may still use it
  }
  for (Grain* grain : holding_) {
    for (const Held& held : *grain->held) answer_here(held.message, cause);
    grain->held->clear();
  }
  holding_.clear();
  held_count_ = 0;
}

Status RingHost::close_cause() {
  std::lock_guard guard(mutex_);
  return close_cause_;
}

u64 RingHost::in_slots() {
  std::lock_guard guard(mutex_);
  return next_ - taken_;
}

GrainCounts RingHost::counts(Grain& grain) {
  std::lock_guard guard(mutex_);
  GrainCounts counts = grain.counts;
  counts.pending = grain.inflight + (grain.held ? grain.held->size() : 0);
  return counts;
}

void RingHost::add_to(Snapshot& snapshot) {
  std::lock_guard guard(mutex_);
  if (!closed_) harvest();
  snapshot.queue.merge(queue_);
  snapshot.service.merge(service_);
  snapshot.round_trip.merge(round_trip_);
  snapshot.processed += processed_;
  snapshot.failed += failed_;
  snapshot.posted += next_;
  snapshot.held += held_count_;
  snapshot.pending += pending_count.load(std::memory_order_relaxed);
}

}  // namespace gpures
