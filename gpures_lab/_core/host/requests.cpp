// Requests, staging chunks, the trace: what the engine lends and takes back.
#include <algorithm>
#include <utility>

#include "host/engine.hpp"
#include "shared/words.hpp"

namespace gpures {

// A list of free requests: what was recycled since, or a fresh chunk.
Request* Engine::lend_requests() {
  if (Request* recycled = returned_.exchange(nullptr, std::memory_order_acquire)) return recycled;
  constexpr u32 kChunk = 256;
  auto chunk = std::make_unique<Request[]>(kChunk);
  for (u32 n = 0; n + 1 < kChunk; ++n) chunk[n].next = &chunk[n + 1];
  Request* first = chunk.get();
  std::lock_guard guard(request_mutex_);
  request_chunks_.push_back(std::move(chunk));
  return first;
}

void Engine::drop(Request* request) {
  const u32 before = request->state.fetch_or(Request::kDropped, std::memory_order_acq_rel);
  if (!(before & Request::kAnswered)) return;  // the ring ends it
  if (request->keep) {
    bury(request);
  } else {
    recycle(request);
  }
}

// Its Python object is dropped by the next caller who holds the GIL.
void Engine::bury(Request* request) {
  Request* top = graveyard_.load(std::memory_order_relaxed);
  do {
    request->next = top;
  } while (!graveyard_.compare_exchange_weak(top, request, std::memory_order_acq_rel));
}

Request* Engine::take_graveyard() {
  if (graveyard_.load(std::memory_order_relaxed) == nullptr) return nullptr;
  return graveyard_.exchange(nullptr, std::memory_order_acquire);
}

void Engine::recycle(Request* request) {
  Request* top = returned_.load(std::memory_order_relaxed);
  do {  // taken all at once, so a head that comes back is no danger
    request->next = top;
  } while (!returned_.compare_exchange_weak(top, request, std::memory_order_acq_rel));
}

// Counted when it is answered: whoever holds the completion may never look.
void Engine::note_failure(Request& request) {
  constexpr size_t kKept = 64;
  if (request.status == Status::kCancelled || request.status == Status::kRingClosed) return;
  std::lock_guard guard(unseen_mutex_);
  if (request.seen) return;
  request.unseen_round = unseen_round_;
  ++unseen_count_;
  ++unseen_new_;
  if (unseen_.size() == kKept) return;
  unseen_.push_back({request.id,
                     request.value,
                     request.opcode,
                     request.status,
                     request.grain->index,
                     request.kernel,
                     request.failed_left,
                     {}});
  std::copy(request.fault, request.fault + 8, unseen_.back().fault);
}

void Engine::look_at(Request& request) {
  std::lock_guard guard(unseen_mutex_);
  if (std::exchange(request.seen, true) || request.unseen_round == 0) return;
  --unseen_count_;
  if (request.unseen_round != unseen_round_) return;  // a report has said it
  --unseen_new_;
  std::erase_if(unseen_, [&](const UnseenFailure& each) { return each.id == request.id; });
}

u64 Engine::take_unseen(std::vector<UnseenFailure>& some) {
  for (auto& ring : rings_) {
    if (ring->pending() != 0) ring->poll();  // those that just ended are among them
  }
  std::lock_guard guard(unseen_mutex_);
  ++unseen_round_;
  some = std::exchange(unseen_, {});
  return std::exchange(unseen_new_, 0);
}

void Engine::tell_cancel() {
  std::lock_guard guard(cancel_mutex_);
  HostWords::store_release_sys(view_.control->cancels.value, ++cancels_);
}

u32 Engine::take_chunk() {
  std::lock_guard guard(chunk_mutex_);
  if (free_chunks_.empty()) return next_chunk_ < view_.staging_chunks ? next_chunk_++ : kNoChunk;
  const u32 chunk = free_chunks_.back();
  free_chunks_.pop_back();
  return chunk;
}

u32 Engine::chunks_left() {
  std::lock_guard guard(chunk_mutex_);
  return u32(free_chunks_.size()) + u32(view_.staging_chunks) - u32(next_chunk_);
}

void Engine::return_chunk(u32 chunk) {
  std::lock_guard guard(chunk_mutex_);
  free_chunks_.push_back(chunk);
}

void Engine::keep_trace(u64 capacity) {
  std::lock_guard guard(trace_mutex_);
  tracing_ = capacity != 0;
  if (capacity == 0 || capacity == trace_.size()) return;
  std::vector<TraceRow> rows(capacity);
  trace_kept_ = std::min(trace_kept_, capacity);
  for (u64 number = trace_count_ - trace_kept_; number < trace_count_; ++number) {
    rows[number % capacity] = trace_[number % trace_.size()];
  }
  trace_ = std::move(rows);
}

void Engine::trace(const TraceRow& row) {
  std::lock_guard guard(trace_mutex_);
  if (trace_.empty()) return;
  trace_[trace_count_++ % trace_.size()] = row;
  trace_kept_ = std::min<u64>(trace_kept_ + 1, trace_.size());
}

u64 Engine::read_trace(u64 since, std::vector<TraceRow>& rows) {
  std::lock_guard guard(trace_mutex_);
  u64 next = std::max(since, trace_count_ - trace_kept_);
  rows.reserve(trace_count_ - std::min(next, trace_count_));
  for (; next < trace_count_; ++next) rows.push_back(trace_[next % trace_.size()]);
  return trace_count_;
}

}  // namespace gpures
