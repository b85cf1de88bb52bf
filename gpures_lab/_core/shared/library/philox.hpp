// Philox4x32-10 (Salmon et al., 2011): four random words from a counter and a key, no state.
#pragma once

#include "call.hpp"

namespace gpures::library {

struct Words4 {
  u32 word[4];
};

GPURES_OP Words4 philox4x32(u64 counter_low, u64 counter_high, u64 key) {
  u32 a = static_cast<u32>(counter_low), b = static_cast<u32>(counter_low >> 32);
  u32 c = static_cast<u32>(counter_high), d = static_cast<u32>(counter_high >> 32);
  u32 key0 = static_cast<u32>(key), key1 = static_cast<u32>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const u64 left = u64{0xD2511F53u} * a;
    const u64 right = u64{0xCD9E8D57u} * c;
    a = static_cast<u32>(right >> 32) ^ b ^ key0;
    b = static_cast<u32>(right);
    c = static_cast<u32>(left >> 32) ^ d ^ key1;
    d = static_cast<u32>(left);
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return Words4{{a, b, c, d}};
}

}  // namespace gpures::library
