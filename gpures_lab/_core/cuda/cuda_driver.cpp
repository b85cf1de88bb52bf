#include "cuda/cuda_driver.hpp"

#include <chrono>
#include <cstring>
#include <thread>
#include <utility>

#include "cuda/context_guard.hpp"
#include "host/clock.hpp"
#include "shared/leave.hpp"

namespace gpures::cuda {

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
  EngineView engine = view;
  const RingView* rings = rings_;
  void* parameters[] = {&engine, &rings, &epoch, &expected_out};
  if (note(api_.launch_kernel(device_.ring_kernel, view.rings, 1, 1, kRingThreads, 1, 1, 0,
                              device_.ring_stream, parameters, nullptr))) {
    return false;
  }
  launched_ = epoch;
  return true;
}

bool CudaDriver::is_lost() {
  if (error_.load() != kSuccess) return true;
  ContextGuard guard(api_, device_.context);
  return note(api_.stream_query(device_.ring_stream));
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
