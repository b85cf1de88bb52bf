// Radix sort of integer keys in their own memory, highest byte first: a byte's 256 buckets are
// filled by swapping each key to where it belongs, then each bucket is sorted by the next byte.
// On the host 5 times as fast as a heap sort of 4,096 keys. The device sorts with OnBlock<Sort>;
// 4 KiB of stack a level are too much for its threads.
#pragma once

#include "element.hpp"

namespace gpures::library {

template <class Key>
void insertion_sort(Key* keys, i64 n) {
  for (i64 i = 1; i < n; ++i) {
    const Key key = keys[i];
    i64 at = i;
    for (; at > 0 && key < keys[at - 1]; --at) keys[at] = keys[at - 1];
    keys[at] = key;
  }
}

template <class Key>
struct Radix {
  using Bits = UnsignedOf<sizeof(Key)>;
  static constexpr int kBuckets = 256;
  static constexpr i64 kFew = 32;  // below this an insertion sort is faster than two passes
  static constexpr Bits kSign =
      kIsUnsigned<Key> ? Bits{0} : static_cast<Bits>(Bits{1} << (8 * sizeof(Key) - 1));

  static void sort(Key* keys, i64 n, int shift = 8 * (sizeof(Key) - 1)) {
    if (n <= kFew) return insertion_sort(keys, n);
    i64 next[kBuckets] = {}, ends[kBuckets];
    for (i64 i = 0; i < n; ++i) ++next[bucket(keys[i], shift)];
    i64 sum = 0;
    for (int b = 0; b < kBuckets; ++b) {
      const i64 count = next[b];
      next[b] = sum;
      ends[b] = sum += count;
    }
    for (int b = 0; b < kBuckets; ++b) {
      while (next[b] < ends[b]) {
        Key key = keys[next[b]];
        for (int home; (home = bucket(key, shift)) != b;) {
          const Key other = keys[next[home]];
          keys[next[home]++] = key;
          key = other;
        }
        keys[next[b]++] = key;
      }
    }
    if (shift == 0) return;
    for (int b = 0; b < kBuckets; ++b) {
      const i64 begin = b == 0 ? 0 : ends[b - 1];
      if (ends[b] - begin > 1) sort(keys + begin, ends[b] - begin, shift - 8);
    }
  }

 private:
  static int bucket(Key key, int shift) {
    return int(((static_cast<Bits>(key) ^ kSign) >> shift) & (kBuckets - 1));
  }
};

}  // namespace gpures::library
