// Requests, staging chunks, the trace: what the engine lends and takes back.
#include "host/engine.hpp"
#include "shared/words.hpp"

namespace gpures {

// Under the lock of the grain's ring.
Request* Engine::new_request(Grain& grain, u16 opcode) {
  std::lock_guard guard(request_mutex_);
  if (!free_requests_) free_requests_ = returned_.exchange(nullptr, std::memory_order_acquire);
  if (!free_requests_) {
    constexpr u32 kChunk = 256;
    request_chunks_.push_back(std::make_unique<Request[]>(kChunk));
    Request* chunk = request_chunks_.back().get();
    for (u32 n = 0; n < kChunk; ++n) {
      chunk[n].next = free_requests_;
      free_requests_ = chunk + n;
    }
  }
  Request* request = free_requests_;
  free_requests_ = request->next;
  request->state.store(Request::kPending, std::memory_order_relaxed);
  request->refs.store(2, std::memory_order_relaxed);
  request->seen.store(false, std::memory_order_relaxed);
  request->position.store(kNoPosition, std::memory_order_relaxed);
  request->notify.store(-1, std::memory_order_relaxed);
  request->id = next_request_++;
  request->grain = &grain;
  request->parts = 1;
  request->opcode = opcode;
  request->kernel = 0;
  request->status = Status::kOk;
  request->value = 0;
  request->fault[0] = 0;  // an error without detail must not quote an earlier one's
  request->queue_ns = request->service_ns = request->round_trip_ns = 0;
  request->keep = nullptr;
  return request;
}

void Engine::drop(Request* request) {
  if (request->refs.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (request->status != Status::kOk && !request->seen.load(std::memory_order_relaxed)) {
    note_unseen(*request);
  }
  if (request->keep == nullptr) {
    recycle(request);
    return;
  }
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

void Engine::note_unseen(const Request& request) {
  constexpr size_t kKept = 64;
  if (request.status == Status::kCancelled || request.status == Status::kRingClosed) return;
  unseen_count_.fetch_add(1, std::memory_order_relaxed);
  std::lock_guard guard(unseen_mutex_);
  if (unseen_.size() < kKept) {
    unseen_.push_back({request.id, request.opcode, request.status, request.grain->index});
  }
}

std::vector<UnseenFailure> Engine::take_unseen() {
  std::lock_guard guard(unseen_mutex_);
  return std::exchange(unseen_, {});
}

void Engine::tell_cancel() {
  std::lock_guard guard(cancel_mutex_);
  HostWords::store_release_sys(view_.control->cancels.value, ++cancels_);
}

u32 Engine::take_chunk() {
  std::lock_guard guard(chunk_mutex_);
  if (free_chunks_.empty()) return next_chunk_ < kStagingChunks ? next_chunk_++ : kNoChunk;
  const u32 chunk = free_chunks_.back();
  free_chunks_.pop_back();
  return chunk;
}

void Engine::return_chunk(u32 chunk) {
  std::lock_guard guard(chunk_mutex_);
  free_chunks_.push_back(chunk);
}

void Engine::start_trace(u64 capacity) {
  std::lock_guard guard(trace_mutex_);
  trace_.clear();
  trace_.reserve(capacity);
  trace_capacity_ = capacity;
  trace_next_ = 0;
  tracing_ = capacity != 0;
}

void Engine::trace(const TraceRow& row) {
  std::lock_guard guard(trace_mutex_);
  if (trace_capacity_ == 0) return;
  if (trace_.size() < trace_capacity_) {
    trace_.push_back(row);
  } else {
    trace_[trace_next_++ % trace_capacity_] = row;
  }
}

std::vector<TraceRow> Engine::take_trace() {
  std::lock_guard guard(trace_mutex_);
  std::vector<TraceRow> rows = std::exchange(trace_, {});
  if (trace_capacity_ != 0 && trace_next_ != 0) {  // oldest first
    std::rotate(rows.begin(), rows.begin() + long(trace_next_ % trace_capacity_), rows.end());
  }
  trace_next_ = 0;
  return rows;
}

}  // namespace gpures
