#include "host/kernel_registry.hpp"

namespace gpures {

KernelRegistry& KernelRegistry::get() {
  static KernelRegistry* registry = new KernelRegistry;  // outlives workers that stalled
  return *registry;
}

u32 KernelRegistry::add(const KernelEntry& entry) {
  std::lock_guard guard(mutex_);
  if (next_ >= kCapacity) throw std::bad_alloc();
  auto* kept = new KernelEntry(entry);
  kept->id = next_;
  const_cast<KernelEntry**>(table())[next_] = kept;
  if (entry.flags & kKernelMayFault) any_may_fault_ = true;
  return next_++;
}

}  // namespace gpures
