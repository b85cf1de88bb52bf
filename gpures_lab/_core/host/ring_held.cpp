// Messages held back on the host: behind a borrow, a transfer in parts, or a Barrier. [R11]
#include "host/ring_host.hpp"

#include <algorithm>

#include "host/engine.hpp"
#include "shared/cancel.hpp"
#include "shared/wake.hpp"

namespace gpures {

void RingHost::enqueue(Grain& grain, const Outgoing& message) {
  if (!grain.held) grain.held = std::make_unique<std::deque<Held>>();
  if (grain.held->empty()) holding_.push_back(&grain);
  const u8* page = static_cast<const u8*>(message.page);
  grain.held->push_back({message, {page, page + message.page_bytes}, {}, tickets_++, nullptr});
  Held& held = grain.held->back();
  if (message.uses) held.uses = *message.uses;
  held.message.uses = nullptr;  // the caller's
  ++held_count_;
}

bool RingHost::is_busy(const std::vector<Grain*>& uses, u64 ticket) {
  return std::any_of(uses.begin(), uses.end(), [&](const Grain* grain) {
    if (grain->flying != 0 || (grain->hold != 0 && grain->holder == kCut)) return true;
    return grain->held &&
           std::any_of(grain->held->begin(), grain->held->end(),
                       [&](const Held& held) { return held.work && held.ticket < ticket; });
  });
}

bool RingHost::may_go(const Held& front) const {
  if (front.work) return false;  // the engine starts it
  if (is_busy(front.uses, front.ticket)) return false;
  if (front.message.slot.opcode != u16(Opcode::kBarrier)) return true;
  const auto is_later = [&](u64 ticket) { return ticket > front.ticket; };
  if (!std::all_of(flying_.begin(), flying_.end(), is_later)) return false;
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
      while (grain.hold == 0 && grain.flying == 0 && !grain.held->empty() &&
             next_ - taken_ < view.slot_count && may_go(grain.held->front())) {
        Held& front = grain.held->front();
        front.message.page = front.page.data();
        front.message.uses = &front.uses;
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
  if (grain.flying != 0) return Hold::kLater;
  if ((grain.held && !grain.held->empty()) || grain.sending) {
    return own ? Hold::kNever : Hold::kLater;
  }
  ++grain.hold;
  grain.holder = thread;
  grain.touched += thread != kCut;
  return Hold::kDone;
}

bool RingHost::unhold(Grain& grain) {
  bool free;
  {
    std::lock_guard guard(mutex_);
    grain.touched += grain.holder != kCut;
    free = --grain.hold == 0;
  }
  poll();
  return free;
}

void RingHost::begin_join(Grain& grain) {
  std::lock_guard guard(mutex_);
  grain.stream = kUsersStream;
  ++grain.flying;
  ++grain.joins;
}

void RingHost::end_join(Grain& grain) {
  WakeState found = kAwake;
  {
    std::lock_guard guard(mutex_);
    --grain.flying;
    --grain.joins;
    if (!closed_ && flush_held()) found = committed();
  }
  if (found != kAwake) engine_.kick(view.index, found);
}

bool RingHost::may_sleep(const Grain& grain) {
  std::lock_guard guard(mutex_);
  return !refusing_ && !grain.sending && !is_held_back(grain);
}

void RingHost::forget_handle(u64 handle) {
  std::lock_guard guard(mutex_);
  recycle_handle(handle);
}

bool RingHost::is_idle(const Grain& grain) {
  std::lock_guard guard(mutex_);
  return grain.inflight == 0 && grain.flying == 0;
}

bool RingHost::is_at_rest(const Grain& grain, u64 end) {
  std::lock_guard guard(mutex_);
  if (closed_) return true;
  harvest();
  return taken_ >= end && !grain.sending && !is_held_back(grain);
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
      it->work.reset();  // before the answer, as its memory
      answer_here(it->message, Status::kCancelled);
      it = held.erase(it);
      --held_count_;
    }
    if (held.empty()) std::erase(holding_, &grain);
  }
  return true;
}

}  // namespace gpures
