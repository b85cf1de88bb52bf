// Completions: taken in order, each request answered once. [R9]
#include "host/ring_host.hpp"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "host/clock.hpp"
#include "host/engine.hpp"
#include "shared/ops/program.hpp"
#include "shared/ring.hpp"

namespace gpures {

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
  note_placed();
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
  // A program's own account covers every launch it took, and does not saturate.
  const bool program =
      request.opcode == u16(Opcode::kRunProgram) && answer.detail == sizeof(request.fault);
  const u64 worked = program ? u64(request.fault[RunProgram::kService]) : answer.service;
  const u64 service = device ? worked : scale.to_ns(worked);
  // The entry tells the last launch: what a program worked before it was no waiting.
  const u64 last = program ? std::min<u64>(answer.service, worked) : worked;
  const u64 before = device ? scale.from_ns(worked - last) : worked - last;
  u64 taken = device ? host_ticks(answer.taken, last, waiting.posted, now) : answer.taken;
  if (taken != kUnmeasured) taken -= std::min(taken, before);
  const u64 queue = taken == kUnmeasured
                        ? kUnmeasured
                        : scale.to_ns(std::max(taken, waiting.posted) - waiting.posted);
  const u64 round_trip = scale.to_ns(std::max(now, waiting.posted) - waiting.posted);
  --grain.inflight;
  outside_runs_ -= waiting.outside;
  if (engine_.tracing()) {
    // Where no clock says when it ran, it is drawn as ending when it arrived.
    const u64 length = device ? scale.from_ns(worked) : worked;
    const u64 begun = taken == kUnmeasured ? now - std::min(length, now - waiting.posted) : taken;
    engine_.trace({waiting.posted, begun, begun + length, request.id, grain.index, request.kernel,
                   request.opcode, answer.status, view.index});
  }
  account(request, status, answer.value, queue, service, round_trip, now);
}

// One answer in the figures, and in its request.
void RingHost::account(Request& request, Status status, u64 value, u64 queue, u64 service,
                       u64 round_trip, u64 now) {
  Grain& grain = *request.grain;
  if (queue != kUnmeasured) queue_.add(queue);
  grain.service.add(service_.add(service));
  round_trip_.add(round_trip);
  ++processed_;
  ++grain.counts.messages;
  grain.used = now;
  grain.counts.service_ns += service;
  if (status != Status::kOk) {
    ++failed_;
    ++grain.counts.failed;
  }
  if (request.status == Status::kOk) {
    request.status = status;
    request.value = value;
    if (status != Status::kOk) request.failed_left = request.parts;
  }
  if (request.queue_ns == 0) request.queue_ns = queue;
  request.service_ns += service;
  request.round_trip_ns = round_trip;
  if (--request.parts == 0) this->answer(&request);
}

// When a device took a message, in the host's ticks; kUnmeasured while the two clocks are not
// fitted to each other.
u64 RingHost::host_ticks(u64 taken, u64 service, u64 posted, u64 arrived) {
  const TickScale& scale = TickScale::get();
  clock_fit_.add(scale.to_ns(posted), taken, taken + service, scale.to_ns(arrived));
  return clock_fit_.known() ? scale.from_ns(clock_fit_.to_host(taken)) : kUnmeasured;
}

void RingHost::answer(Request* request) {
  const int notify = request->notify;
  // Before anybody can look, for who looks takes it back.
  if (request->status != Status::kOk) engine_.note_failure(*request);
  const u32 before = request->state.fetch_or(Request::kAnswered, std::memory_order_acq_rel);
  if (before & Request::kDropped) {  // nobody will look
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

RingHost::Watch RingHost::watch(Request& request, int descriptor) {
  std::lock_guard guard(mutex_);  // answers are given under it
  if (request.answered()) return Watch::kAnswered;
  const int now = request.notify;
  if (descriptor >= 0 && now >= 0 && now != descriptor) return Watch::kTaken;
  request.notify = descriptor;
  return Watch::kSet;
}

void RingHost::abandon_parts(Request& request, u32 parts, Status cause) {
  std::lock_guard guard(mutex_);
  if (request.status == Status::kOk) request.status = cause;
  request.parts -= parts;
  if (request.parts == 0) answer(&request);
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
  for (const auto& [grain, held] : passing_) answer_here(held.message, cause);
  passing_.clear();
  note_placed();
}

Status RingHost::close_cause() {
  std::lock_guard guard(mutex_);
  return close_cause_;
}

u64 RingHost::in_slots() {
  std::lock_guard guard(mutex_);
  return next_ - taken_;
}

u64 RingHost::posted() {
  std::lock_guard guard(mutex_);
  return next_;
}

u64 RingHost::taken() {
  std::lock_guard guard(mutex_);
  return taken_;
}

bool RingHost::is_closed() {
  std::lock_guard guard(mutex_);
  return closed_;
}

GrainCounts RingHost::counts(Grain& grain) {
  std::lock_guard guard(mutex_);
  GrainCounts counts = grain.counts;
  counts.pending =
      grain.inflight + grain.flying - grain.joins + (grain.held ? grain.held->size() : 0);
  counts.touched = grain.touched;
  const u64 now = ticks();
  counts.idle_ns = TickScale::get().to_ns(now - std::min(now, grain.used));
  return counts;
}

std::vector<u64> RingHost::service_counts(const Grain& grain) {
  std::lock_guard guard(mutex_);
  return grain.service.packed();
}

void RingHost::add_to(Snapshot& snapshot) {
  std::lock_guard guard(mutex_);
  if (!closed_) harvest();
  snapshot.queue.merge(queue_);
  snapshot.service.merge(service_);
  snapshot.round_trip.merge(round_trip_);
  snapshot.processed += processed_;
  snapshot.failed += failed_;
  snapshot.posted += next_ + flown_;
  snapshot.held += held_count_;
  snapshot.pending += pending_count.load(std::memory_order_relaxed);
}

}  // namespace gpures
