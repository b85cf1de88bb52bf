// Kernel ids: handed out once, never reused; the table the worker reads.
#pragma once

#include <mutex>

#include "host/mapping.hpp"
#include "shared/layout.hpp"

namespace gpures {

class KernelRegistry {
 public:
  static constexpr u64 kCapacity = u64{1} << 20;

  static KernelRegistry& get();

  // The entry is copied and immutable from here on. Throws std::bad_alloc when ids run out.
  u32 add(const KernelEntry& entry);
  KernelEntry* const* table() const { return table_.as<KernelEntry*>(); }
  const KernelEntry& at(u32 id) const { return *table()[id]; }
  // Any kernel that is called under the guard?
  bool any_may_fault() const { return any_may_fault_; }

 private:
  KernelRegistry() : table_(kCapacity * sizeof(KernelEntry*)) {}
  std::mutex mutex_;
  Mapping table_;
  u32 next_ = 1;  // id 0 stays unknown
  bool any_may_fault_ = false;
};

}  // namespace gpures
