#include "cuda/cuda_driver.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "cuda/context_guard.hpp"
#include "host/clock.hpp"
#include "shared/device/block.hpp"
#include "shared/leave.hpp"

namespace gpures::cuda {

namespace {

// A launch that cannot be: a bad configuration, no memory for its stack, too many registers. Any
// other error is an earlier work's, and sticks to the context.
bool is_refusal(Result result) {
  constexpr Result kInvalidValue = 1, kOutOfMemory = 2, kOutOfResources = 701;
  return result == kInvalidValue || result == kOutOfMemory || result == kOutOfResources;
}

}  // namespace

// Errors stick to a context: whichever call sees one first, the device is lost for good.
bool CudaDriver::note(Result result) {
  if (result != kSuccess && result != kNotReady) {
    Result none = kSuccess;
    error_.compare_exchange_strong(none, result);
  }
  return error_.load() != kSuccess;
}

void CudaDriver::use_memory(const EngineMemory& memory, const EngineView& view,
                            const RingView* rings) {
  memory_ = memory;
  kernel_capacity_ = view.kernel_capacity;
  control_ = view.control;
  work_faults_ = view.work_faults;
  seen_faults_ = view.seen_faults;
  begun_works_ = view.begun_works;
  rings_ = rings;
}

// The copies are queued on the launches' own stream, so the next launch comes after them.
bool CudaDriver::publish_kernel(u32 id, const KernelEntry& entry) {
  if (id >= kernel_capacity_ || error_.load() != kSuccess) return false;
  const u64 pointer_at = id * sizeof(u64);
  const u64 entry_at = kernel_capacity_ * sizeof(u64) + id * sizeof(KernelEntry);
  const u64 address = reinterpret_cast<u64>(memory_.kernels + entry_at);
  std::memcpy(memory_.mirror + entry_at, &entry, sizeof entry);
  std::memcpy(memory_.mirror + pointer_at, &address, sizeof address);
  ContextGuard guard(api_, device_.context);
  if (note(guard.result())) return false;
  for (const auto& [at, bytes] :
       {std::pair{entry_at, sizeof entry}, std::pair{pointer_at, sizeof address}}) {
    if (note(api_.memcpy_async(reinterpret_cast<u64>(memory_.kernels) + at,
                               reinterpret_cast<u64>(memory_.mirror) + at, bytes,
                               device_.ring_stream))) {
      return false;
    }
  }
  return true;
}

// The parameters of gpures_ring_kernel, by value; the driver copies them before it returns.
bool CudaDriver::launch(const EngineView& view, u64 epoch, u64 expected_out) {
  if (error_.load() != kSuccess) return false;
  ContextGuard guard(api_, device_.context);
  if (note(guard.result())) return false;
  EngineView engine = view;
  const RingView* rings = rings_;
  void* parameters[] = {&engine, &rings, &epoch, &expected_out};
  if (note(api_.launch_kernel(device_.ring_kernel, view.rings, 1, 1, device_.ring_threads, 1, 1, 0,
                              device_.ring_stream, parameters, nullptr))) {
    return false;
  }
  launched_ = epoch;
  return true;
}

bool CudaDriver::is_lost() {
  if (error_.load() != kSuccess) return true;
  ContextGuard guard(api_, device_.context);
  if (note(guard.result())) return true;
  return note(api_.stream_query(device_.ring_stream));
}

void CudaDriver::use_wide(u32 id, Function entry, bool any_blocks) {
  if (id >= wide_.size()) wide_.resize(id + 1);
  wide_[id] = {entry, any_blocks};
}

Started CudaDriver::start_work(u32 slot, const StreamWork& work, u64& why) {
  if (error_.load() != kSuccess) return Started::kLost;
  ContextGuard guard(api_, device_.context);
  if (note(guard.result())) return Started::kLost;
  Slot& at = slots_[slot];
  // Timed: an answer's service time is the device's own.
  if (!at.begun &&
      (note(api_.event_create(&at.begun, 0)) || note(api_.event_create(&at.ended, 0)))) {
    return Started::kLost;
  }
  const Stream stream = device_.work_streams[slot / kSlotsEach];
  at.may_fault = work.kind == WorkKind::kLaunch && work.may_fault;
  if (note(api_.event_record(at.begun, stream))) return Started::kLost;
  bool started = false;
  switch (work.kind) {
    case WorkKind::kLaunch: {
      const Started launched = launch_wide(slot, work, why);
      if (launched == Started::kRefused) return launched;
      started = launched == Started::kYes;
      break;
    }
    case WorkKind::kCopyIn:
    case WorkKind::kCopyOut:  // unified addressing: which side is which follows from the addresses
      started = !note(api_.memcpy_async(work.to, work.from, work.bytes, stream));
      break;
    case WorkKind::kFill:
      started = fill(work);
      break;
  }
  return started && !note(api_.event_record(at.ended, stream)) ? Started::kYes : Started::kLost;
}

// The fault words are device memory: threads race for them with an atomic, which across the bus is
// one only where the hardware says so. [R1]
Started CudaDriver::launch_wide(u32 slot, const StreamWork& work, u64& why) {
  const Wide wide = work.kernel < wide_.size() ? wide_[work.kernel] : Wide{};
  if (!wide.entry) return Started::kLost;
  const Stream stream = device_.work_streams[slot / kSlotsEach];
  const u64 fault = reinterpret_cast<u64>(work_faults_ + slot);
  const u64 seen = reinterpret_cast<u64>(seen_faults_ + slot);
  if (work.may_fault && note(api_.memset8_async(fault, 0, sizeof(WorkFault), stream))) {
    return Started::kLost;
  }
  std::vector<u64> words = work.words;
  words.back() = fault;
  slots_[slot].mark = marks_ += 64;  // more than a launch has passes
  words[words.size() - 4] = reinterpret_cast<u64>(begun_works_ + slot);
  words[words.size() - 3] = slots_[slot].mark;
  u64& pass = words[words.size() - 2];
  void* parameters[] = {words.data()};  // copied before the call returns
  const WidePlan& plan = work.plan;
  const u64 most = std::max<u64>(kWideBlocksEach * device_.multiprocessors, 1);
  const u64 needed = plan.passes ? plan.blocks : (work.indices + kWideThreads - 1) / kWideThreads;
  for (pass = 0; pass < std::max(plan.passes, 1u); ++pass) {
    const bool alone = plan.passes ? plan.lone >> pass & 1 : !wide.any_blocks;
    const auto blocks = unsigned(alone ? 1 : std::clamp<u64>(needed, 1, most));
    const Result launched =
        api_.launch_kernel(wide.entry, blocks, 1, 1, kWideThreads, 1, 1,
                           wide.any_blocks ? 0 : kScratchBytes, stream, parameters, nullptr);
    if (pass == 0 && is_refusal(launched)) {
      why = u64(launched);
      return Started::kRefused;
    }
    if (note(launched)) return Started::kLost;
  }
  if (!work.may_fault) return Started::kYes;
  const Result copied = api_.memcpy_async(seen, fault, sizeof(WorkFault), stream);
  return note(copied) ? Started::kLost : Started::kYes;
}

bool CudaDriver::fill(const StreamWork& work) {
  const u64 count = work.bytes / work.element;
  const Stream stream = device_.work_streams[stream_of(WorkKind::kFill)];
  const u32 words = work.element / 4;
  if (work.element == 1)
    return !note(api_.memset8_async(work.to, u8(work.value[0]), count, stream));
  if (work.element == 2) {
    return !note(api_.memset16_async(work.to, u16(work.value[0]), count, stream));
  }
  if (std::all_of(work.value, work.value + words, [&](u32 w) { return w == work.value[0]; })) {
    return !note(api_.memset32_async(work.to, work.value[0], work.bytes / 4, stream));
  }
  // The driver sets no larger elements: one is put together, then what there is is doubled.
  for (u32 w = 0; w < words; ++w) {
    if (note(api_.memset32_async(work.to + 4 * w, work.value[w], 1, stream))) return false;
  }
  for (u64 filled = work.element; filled < work.bytes; filled *= 2) {
    const u64 more = std::min(filled, work.bytes - filled);
    if (note(api_.memcpy_async(work.to + filled, work.to, more, stream))) return false;
  }
  return true;
}

u64 CudaDriver::progress(u32 slot) {
  const u64 said = HostWords::load_relaxed_sys(begun_works_[slot].value);
  return said >= slots_[slot].mark ? said : 0;  // less: an earlier work's
}

bool CudaDriver::is_done(u32 slot, WorkResult& result) {
  if (error_.load() != kSuccess) return false;  // the keeper answers everything
  ContextGuard guard(api_, device_.context);
  if (note(guard.result())) return false;
  const Slot& at = slots_[slot];
  const Result ended = api_.event_query(at.ended);
  if (ended == kNotReady || note(ended)) return false;
  float ms = 0;
  if (note(api_.event_elapsed(&ms, at.begun, at.ended))) return false;
  result.service_ns = u64(double(ms) * 1e6);
  if (at.may_fault && seen_faults_[slot].words[0] != 0) {
    result.status = Status::kOutOfBounds;
    std::memcpy(result.fault, seen_faults_[slot].words, sizeof(WorkFault));
  }
  return true;
}

// An error here is the user's stream: of another device, destroyed, or captured.
bool CudaDriver::mark_stream(u64 stream, u32& mark, u64& why) {
  constexpr unsigned kUntimed = 2;  // CU_EVENT_DISABLE_TIMING
  ContextGuard guard(api_, device_.context);
  if (note(guard.result())) {
    why = u64(error_.load());
    return false;
  }
  if (free_marks_.empty()) {
    Event made = nullptr;
    if (const Result result = api_.event_create(&made, kUntimed); result != kSuccess) {
      why = u64(result);
      return false;
    }
    free_marks_.push_back(u32(marks_in_streams_.size()));
    marks_in_streams_.push_back(made);
  }
  mark = free_marks_.back();
  const Result result =
      api_.event_record(marks_in_streams_[mark], reinterpret_cast<Stream>(stream));
  why = u64(result);
  if (result != kSuccess) {
    note(api_.stream_query(device_.ring_stream));  // whether it sticks to the context
    return false;
  }
  free_marks_.pop_back();
  return true;
}

bool CudaDriver::is_past(u32 mark) {
  if (error_.load() != kSuccess) return false;
  ContextGuard guard(api_, device_.context);
  if (note(guard.result())) return false;
  const Result result = api_.event_query(marks_in_streams_[mark]);
  if (result == kNotReady) return false;
  // What sticks to the context shows on our own stream too; else it is the mark's alone.
  if (result != kSuccess && note(api_.stream_query(device_.ring_stream))) return false;
  free_marks_.push_back(mark);
  return true;
}

void CudaDriver::free_events() {
  ContextGuard guard(api_, device_.context);
  if (guard.result() != kSuccess) return;
  for (Event event : marks_in_streams_) api_.event_destroy(event);
  marks_in_streams_.clear();
  free_marks_.clear();
  for (Slot& slot : slots_) {
    for (Event* event : {&slot.begun, &slot.ended}) {
      if (*event) api_.event_destroy(std::exchange(*event, nullptr));
    }
  }
}

// No CUDA call: at exit the driver may be gone already. After a fault the epoch never comes, and
// what the device may still touch is left behind.
bool CudaDriver::shutdown(u64 limit_ns) {
  const u64 since = steady_ns();
  while (control_ && !has_exited<HostWords>(*control_, launched_)) {
    if (error_.load() != kSuccess || steady_ns() - since >= limit_ns) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
  }
  return true;
}

std::string CudaDriver::error() const {
  const Result result = error_.load();
  if (result == kSuccess) return "";
  const char* name = nullptr;
  api_.error_name(result, &name);
  return name ? name : "CUDA error " + std::to_string(result);
}

}  // namespace gpures::cuda
