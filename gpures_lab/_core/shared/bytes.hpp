// Copy, zero and repeat bytes with all threads of the worker's block (one thread on the host).
#pragma once

#include "base.hpp"

#if !GPURES_DEVICE_COMPILE
#include <cstring>
#endif

namespace gpures {

template <class Env>
GPURES_HD void copy_bytes(Env& env, u8* to, const u8* from, u64 bytes) {
#if GPURES_DEVICE_COMPILE
  const bool wide = (((u64)to | (u64)from) & 15) == 0;
  const u64 vectors = wide ? bytes / 16 : 0;
  for (u64 v = env.thread(); v < vectors; v += env.threads()) {
    ((uint4*)to)[v] = ((const uint4*)from)[v];
  }
  for (u64 b = vectors * 16 + env.thread(); b < bytes; b += env.threads()) to[b] = from[b];
#else
  (void)env;
  std::memcpy(to, from, bytes);
#endif
}

template <class Env>
GPURES_HD void zero_bytes(Env& env, u8* to, u64 bytes) {
#if GPURES_DEVICE_COMPILE
  const u64 vectors = ((u64)to & 15) == 0 ? bytes / 16 : 0;
  for (u64 v = env.thread(); v < vectors; v += env.threads()) ((uint4*)to)[v] = uint4{0, 0, 0, 0};
  for (u64 b = vectors * 16 + env.thread(); b < bytes; b += env.threads()) to[b] = 0;
#else
  (void)env;
  std::memset(to, 0, bytes);
#endif
}

// `element` bytes at `from`, repeated over [to, to + bytes).
template <class Env>
GPURES_HD void repeat_bytes(Env& env, u8* to, const u8* from, u64 element, u64 bytes) {
  for (u64 at = u64(env.thread()) * element; at < bytes; at += u64(env.threads()) * element) {
    for (u64 b = 0; b < element; ++b) to[at + b] = from[b];
  }
}

}  // namespace gpures
