// The floor: one 64-byte slot there, one 32-byte completion back, under the ring's own order [R2]
// and with nothing around it, in three ways; and the bare 8-byte flag, ordered and not.
// Pinned memory, one warp. `rounds` ends it, or a host that went away.
typedef unsigned long long u64;

#define LOAD(order, value, word) \
  asm volatile("ld." order ".sys.global.b64 %0, [%1];" : "=l"(value) : "l"(word) : "memory")
#define STORE(order, word, value) \
  asm volatile("st." order ".sys.global.b64 [%0], %1;" ::"l"(word), "l"(value) : "memory")
#define LOAD2(a, b, word) \
  asm volatile("ld.volatile.global.v2.u64 {%0, %1}, [%2];" : "=l"(a), "=l"(b) : "l"(word) : "memory")
#define STORE2(word, a, b) \
  asm volatile("st.volatile.global.v2.u64 [%0], {%1, %2};" ::"l"(word), "l"(a), "l"(b) : "memory")

// False: nothing came for ten thousand million cycles, which is five seconds or more.
#define WAIT(order, word, wanted)                                    \
  for (long long since = clock64();;) {                              \
    u64 seen;                                                        \
    LOAD(order, seen, word);                                         \
    if (seen == (wanted)) break;                                     \
    if (clock64() - since > 10000000000ll) return; }
#define KERNEL(name) extern "C" __global__ void name(u64* there, u64* back, u64 rounds)
#define ALONE if (threadIdx.x != 0) return;
#define ROUNDS for (u64 n = 1; n <= rounds; ++n)

KERNEL(flag_ordered) { ALONE ROUNDS { WAIT("acquire", there, n) STORE("release", back, n); } }
KERNEL(flag_relaxed) { ALONE ROUNDS { WAIT("relaxed", there, n) STORE("relaxed", back, n); } }

KERNEL(slot_by_words) {
  ALONE ROUNDS {
    WAIT("acquire", there, n)
    u64 sum = 0;
    for (int w = 1; w < 8; ++w) sum += *(volatile u64*)(there + w);
    for (int w = 1; w < 4; ++w) *(volatile u64*)(back + w) = sum;
    STORE("release", back, n);
  }
}
KERNEL(slot_by_pairs) {
  ALONE ROUNDS {
    WAIT("acquire", there, n)
    u64 a, b, c, d, e, f;
    LOAD2(a, b, there + 2); LOAD2(c, d, there + 4); LOAD2(e, f, there + 6);
    const u64 sum = a + b + c + d + e + f + *(volatile u64*)(there + 1);
    *(volatile u64*)(back + 1) = sum;
    STORE2(back + 2, sum, sum);
    STORE("release", back, n);
  }
}
KERNEL(slot_by_lanes) {
  const unsigned lane = threadIdx.x;
  ROUNDS {
    if (lane == 0) WAIT("acquire", there, n)
    __syncwarp();
    u64 sum = lane - 1 < 7 ? *(volatile u64*)(there + lane) : 0;
    for (int far = 4; far > 0; far /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, far);
    if (lane - 1 < 3) *(volatile u64*)(back + lane) = sum;
    __syncwarp();
    if (lane == 0) STORE("release", back, n);
  }
}
