// The floor: one 64-byte slot there, one completion back, under the ring's own order [R2] and with
// nothing around it; and the bare 8-byte flag. Pinned memory, one thread. `rounds` ends it.
typedef unsigned long long u64;

__device__ u64 acquire(const u64* word) {
  u64 value;
  asm volatile("ld.acquire.sys.global.b64 %0, [%1];" : "=l"(value) : "l"(word) : "memory");
  return value;
}
__device__ void release(u64* word, u64 value) {
  asm volatile("st.release.sys.global.b64 [%0], %1;" ::"l"(word), "l"(value) : "memory");
}
// A host that went away must not leave a kernel behind: five seconds at the slowest clock.
__device__ bool wait_for(const u64* word, u64 wanted) {
  const long long since = clock64();
  while (acquire(word) != wanted) {
    if (clock64() - since > 10000000000ll) return false;
  }
  return true;
}

extern "C" __global__ void flag_floor(u64* there, u64* back, u64 rounds) {
  for (u64 n = 1; n <= rounds; ++n) {
    if (!wait_for(there, n)) return;
    release(back, n);
  }
}

extern "C" __global__ void slot_floor(u64* slot, u64* completion, u64 rounds) {
  for (u64 n = 1; n <= rounds; ++n) {
    if (!wait_for(slot, n)) return;
    u64 sum = 0;
    for (int w = 1; w < 8; ++w) sum += *(volatile u64*)(slot + w);
    for (int w = 1; w < 4; ++w) *(volatile u64*)(completion + w) = sum;
    release(completion, n);
  }
}
