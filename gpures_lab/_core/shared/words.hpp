// Every atomic access of the project: loads and stores of 64-bit words that host and worker share.
// [R1] one writer a word, [R2] payload first. A policy class, so that the explorer runs the same
// headers with a store buffer on each side.
//
//   get, put             plain payload access; ordered only by the acquire/release beside it
//   load_acquire_sys     pairs with store_release_sys of the other side of the bus
//   store_fenced_sys     relaxed store after fence_sys(): many completions share one fence on the
//                        device; on the host it is the release store itself (g++ cannot check
//                        fences under ThreadSanitizer, so there are none)
//   load_relaxed_*       of a word with nothing behind it: several are under way at once, where an
//                        acquire waits for each, and then forgets this multiprocessor's L1
//   *_gpu                the same between blocks (device memory), between workers on the host
//   *_block              between the threads of one block (its shared memory)
#pragma once

#include "base.hpp"

#if !GPURES_DEVICE_COMPILE
#include <atomic>
#endif

namespace gpures {

#if !GPURES_DEVICE_COMPILE

struct HostWords {
  static u64 get(const u64& word) { return word; }
  static void put(u64& word, u64 value) { word = value; }

  static u64 load_acquire_sys(const u64& word) {
    return std::atomic_ref<u64>(const_cast<u64&>(word)).load(std::memory_order_acquire);
  }
  static u64 load_relaxed_sys(const u64& word) {
    return std::atomic_ref<u64>(const_cast<u64&>(word)).load(std::memory_order_relaxed);
  }
  static void store_release_sys(u64& word, u64 value) {
    std::atomic_ref<u64>(word).store(value, std::memory_order_release);
  }
  static void store_relaxed_sys(u64& word, u64 value) {
    std::atomic_ref<u64>(word).store(value, std::memory_order_relaxed);
  }
  static void fence_sys() {}
  static void store_fenced_sys(u64& word, u64 value) { store_release_sys(word, value); }

  static u64 load_acquire_gpu(const u64& word) { return load_acquire_sys(word); }
  static u64 load_relaxed_gpu(const u64& word) { return load_relaxed_sys(word); }
  static void store_release_gpu(u64& word, u64 value) { store_release_sys(word, value); }
  static void store_relaxed_gpu(u64& word, u64 value) { store_relaxed_sys(word, value); }
  static u64 load_acquire_block(const u64& word) { return load_acquire_sys(word); }
  static void store_release_block(u64& word, u64 value) { store_release_sys(word, value); }
  // Worker-side memory only, never across the bus [R1]: the last block out counts itself.
  static u64 fetch_add_gpu(u64& word, u64 value) {
    return std::atomic_ref<u64>(word).fetch_add(value, std::memory_order_acq_rel);
  }

  // Host threads only: the wake word, exchanged by poster and worker. With plain release/acquire
  // 128,457 of 5,000,000 wake-ups were lost; with exchange none.
  static u64 exchange(u64& word, u64 value) {
    return std::atomic_ref<u64>(word).exchange(value, std::memory_order_acq_rel);
  }
  // A read-modify-write whether it exchanges or not: a compare_exchange that fails is only a load,
  // and a worker that announces sleep after it need not see the `leave` stored before it.
  static bool exchange_if(u64& word, u64 expected, u64 value) {
    std::atomic_ref<u64> at(word);
    u64 seen = at.load(std::memory_order_relaxed);
    while (!at.compare_exchange_weak(seen, seen == expected ? value : seen,
                                     std::memory_order_acq_rel, std::memory_order_relaxed)) {
    }
    return seen == expected;
  }
};

#else

struct DeviceWords {
  static GPURES_HD u64 get(const u64& word) { return *(const volatile u64*)&word; }
  static GPURES_HD void put(u64& word, u64 value) { *(volatile u64*)&word = value; }

  static GPURES_HD u64 load_acquire_sys(const u64& word) {
    u64 value;
    asm volatile("ld.acquire.sys.global.b64 %0, [%1];" : "=l"(value) : "l"(&word) : "memory");
    return value;
  }
  static GPURES_HD u64 load_relaxed_sys(const u64& word) {
    u64 value;
    asm volatile("ld.relaxed.sys.global.b64 %0, [%1];" : "=l"(value) : "l"(&word) : "memory");
    return value;
  }
  static GPURES_HD void store_release_sys(u64& word, u64 value) {
    asm volatile("st.release.sys.global.b64 [%0], %1;" ::"l"(&word), "l"(value) : "memory");
  }
  static GPURES_HD void store_relaxed_sys(u64& word, u64 value) {
    asm volatile("st.relaxed.sys.global.b64 [%0], %1;" ::"l"(&word), "l"(value) : "memory");
  }
  static GPURES_HD void fence_sys() { asm volatile("fence.acq_rel.sys;" ::: "memory"); }
  static GPURES_HD void store_fenced_sys(u64& word, u64 value) { store_relaxed_sys(word, value); }

  static GPURES_HD u64 load_acquire_gpu(const u64& word) {
    u64 value;
    asm volatile("ld.acquire.gpu.global.b64 %0, [%1];" : "=l"(value) : "l"(&word) : "memory");
    return value;
  }
  static GPURES_HD u64 load_relaxed_gpu(const u64& word) {
    u64 value;
    asm volatile("ld.relaxed.gpu.global.b64 %0, [%1];" : "=l"(value) : "l"(&word) : "memory");
    return value;
  }
  static GPURES_HD void store_release_gpu(u64& word, u64 value) {
    asm volatile("st.release.gpu.global.b64 [%0], %1;" ::"l"(&word), "l"(value) : "memory");
  }
  static GPURES_HD void store_relaxed_gpu(u64& word, u64 value) {
    asm volatile("st.relaxed.gpu.global.b64 [%0], %1;" ::"l"(&word), "l"(value) : "memory");
  }
  static GPURES_HD u64 load_acquire_block(const u64& word) {
    u64 value;
    asm volatile("ld.acquire.cta.b64 %0, [%1];" : "=l"(value) : "l"(&word) : "memory");
    return value;
  }
  static GPURES_HD void store_release_block(u64& word, u64 value) {
    asm volatile("st.release.cta.b64 [%0], %1;" ::"l"(&word), "l"(value) : "memory");
  }
  static GPURES_HD u64 fetch_add_gpu(u64& word, u64 value) {
    u64 old;
    asm volatile("atom.acq_rel.gpu.global.add.u64 %0, [%1], %2;"
                 : "=l"(old)
                 : "l"(&word), "l"(value)
                 : "memory");
    return old;
  }
};

#endif

}  // namespace gpures
