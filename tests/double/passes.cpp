// Some of the library's kernels in passes, one block of one pass at a time, for the double of
// libcuda: the device's code on fibers (tests/library).
#include <cstring>
#include <mutex>

#include "block_entry.hpp"

namespace gpures::library {
namespace {

template <class Kernel>
void enter_pass(void* const* data, const i64* sizes, const i64* shapes, const u64* params,
                const i64* space, i64 begin, i64 end, i64* fault, const Pass* pass) {
  static std::mutex one_at_a_time;  // several engines have a stream each
  std::lock_guard lock(one_at_a_time);
  run_pass([](const FiberBlock& block, const Call& call,
              const Pass& here) { InPasses<Kernel>::run(block, here, call); },
           Call{data, sizes, shapes, params, space, begin, end, fault}, *pass);
}

}  // namespace
}  // namespace gpures::library

using namespace gpures::library;

// By type, as the native table spells it.
#define IN_PASSES(...) {#__VA_ARGS__, reinterpret_cast<void*>(&enter_pass<__VA_ARGS__>)}

extern "C" __attribute__((visibility("default"))) void* in_passes_of(const char* type) {
  static const struct {
    const char* type;
    void* code;
  } known[] = {
      IN_PASSES(FloatSum<float, 0, 1>),          IN_PASSES(Scan<long long int, 0, 0>),
      IN_PASSES(Scatter<unsigned int, 0, 1, 2>), IN_PASSES(Softmax<float, 1, 0, 1>),
      IN_PASSES(Softmax<float, 2, 0, 1>),        IN_PASSES(Sort<float, 0, 1>),
  };
  for (const auto& each : known) {
    if (std::strcmp(each.type, type) == 0) return each.code;
  }
  return nullptr;
}
