// Copy, zero and repeat bytes with all threads of the worker's block (one thread on the host).
#pragma once

#include "take.hpp"
#include "vector.hpp"

#if !GPURES_DEVICE_COMPILE
#include <cstring>
#endif

namespace gpures {

// Whether each thread does its share; on the host a worker is one thread, whose library is faster.
template <class Env>
inline constexpr bool kInShares = kTogether<Env> || GPURES_DEVICE_COMPILE;

struct Share {
  u32 thread, threads;
};

// The threads' shares. Four loads come before their stores: across the bus each would else wait for
// the one before.
template <class Word>
GPURES_HD void copy_words(Share share, u8* to, const u8* from, u64 count) {
  Word* const target = reinterpret_cast<Word*>(to);
  const Word* const source = reinterpret_cast<const Word*>(from);
  const u64 step = share.threads;
  u64 w = share.thread;
  for (; w + 3 * step < count; w += 4 * step) {
    const Word a = source[w], b = source[w + step];
    const Word c = source[w + 2 * step], d = source[w + 3 * step];
    target[w] = a;
    target[w + step] = b;
    target[w + 2 * step] = c;
    target[w + 3 * step] = d;
  }
  for (; w < count; w += step) target[w] = source[w];
}

// Not inlined on a device, nor is the next: the registers of four loads would be spilled from the
// serve loop.
GPURES_APART void copy_together(Share share, u8* to, const u8* from, u64 bytes) {
  const u64 places = reinterpret_cast<u64>(to) | reinterpret_cast<u64>(from);
  u64 done = 0;
  if (places % 16 == 0) {
    done = bytes / 16 * 16;
    copy_words<Vector16>(share, to, from, bytes / 16);
  } else if (places % 4 == 0) {  // a part of an array that begins at another element
    done = bytes / 4 * 4;
    copy_words<u32>(share, to, from, bytes / 4);
  }
  copy_words<u8>(share, to + done, from + done, bytes - done);
}

// Sixteen bytes, low address first, again and again over [to, to + bytes).
GPURES_APART void repeat_together(Share share, u8* to, u64 low, u64 high, u64 bytes) {
  const u64 vectors = reinterpret_cast<u64>(to) % 16 == 0 ? bytes / 16 : 0;
  const Vector16 pattern = make_vector16(low, high);
  for (u64 v = share.thread; v < vectors; v += share.threads) {
    reinterpret_cast<Vector16*>(to)[v] = pattern;
  }
  for (u64 b = vectors * 16 + share.thread; b < bytes; b += share.threads) {
    to[b] = u8((b & 8 ? high : low) >> (b % 8 * 8));
  }
}

template <class Env>
GPURES_HD void copy_bytes(Env& env, u8* to, const u8* from, u64 bytes) {
  if constexpr (kInShares<Env>) {
    copy_together({env.thread(), env.threads()}, to, from, bytes);
  } else {
#if !GPURES_DEVICE_COMPILE
    std::memcpy(to, from, bytes);
#endif
  }
}

template <class Env>
GPURES_HD void zero_bytes(Env& env, u8* to, u64 bytes) {
  if constexpr (kInShares<Env>) {
    repeat_together({env.thread(), env.threads()}, to, 0, 0, bytes);
  } else {
#if !GPURES_DEVICE_COMPILE
    std::memset(to, 0, bytes);
#endif
  }
}

// `element` bytes at `from`, repeated over [to, to + bytes): a power of two, at most 16. `from` is
// the beginning of a page or of a word of a program's text.
template <class Env>
GPURES_HD void repeat_bytes(Env& env, u8* to, const u8* from, u64 element, u64 bytes) {
  if constexpr (kInShares<Env>) {
    // Once, not again for each element: from a page it comes across the bus.
    const u64* const words = reinterpret_cast<const u64*>(from);
    u64 low = words[0];
    if (element < 8) low &= (u64{1} << (8 * element)) - 1;
    for (u64 have = element; have < 8; have *= 2) low |= low << (8 * have);
    repeat_together({env.thread(), env.threads()}, to, low, element == 16 ? words[1] : low, bytes);
  } else {
    for (u64 at = 0; at < bytes; at += element) {
      for (u64 b = 0; b < element; ++b) to[at + b] = from[b];
    }
  }
}

}  // namespace gpures
