// A user's map on a device: a thread takes up to four neighbouring elements of every array with one
// load each, computes, then stores.
#pragma once

#include "../base.hpp"

namespace gpures {

template <int Bytes>
struct VectorOfBytes;
template <>
struct VectorOfBytes<1> {
  using type = u8;
};
template <>
struct VectorOfBytes<2> {
  using type = u16;
};
template <>
struct VectorOfBytes<4> {
  using type = u32;
};
template <>
struct VectorOfBytes<8> {
  using type = uint2;
};
template <>
struct VectorOfBytes<16> {
  using type = uint4;
};

// `Lanes` elements of one array, in registers: the pointers at() gives do not outlive inlining.
template <int Bytes, int Lanes>
struct Elements {
  using Vector = typename VectorOfBytes<Bytes * Lanes>::type;
  alignas(16) u8 bytes[Bytes * Lanes];

  GPURES_HD void load(const u8* from) {
    *reinterpret_cast<Vector*>(bytes) = *reinterpret_cast<const Vector*>(from);
  }
  GPURES_HD void store(u8* to) const {
    *reinterpret_cast<Vector*>(to) = *reinterpret_cast<const Vector*>(bytes);
  }
  GPURES_HD void* at(int lane) { return bytes + lane * Bytes; }
};

template <int Value>
struct LaneCount {
  static constexpr int kValue = Value;
};

GPURES_HD u8* element(void* array, i64 i, int bytes) { return static_cast<u8*>(array) + i * bytes; }

GPURES_HD bool is_aligned(const u8* at, int bytes) {
  return (reinterpret_cast<u64>(at) & (bytes - 1)) == 0;
}

// Calls `visit(LaneCount<Lanes>, i)` for whole packs, if they are `aligned`, and
// `visit(LaneCount<1>, i)` for what is left over.
template <int Lanes, class Block, class Visit>
GPURES_HD void for_each_pack(const Block& block, i64 begin, i64 end, bool aligned,
                             const Visit& visit) {
  i64 rest = begin;
  if (Lanes > 1 && aligned) {
    rest = begin + (end - begin) / Lanes * Lanes;
    for (i64 i = begin + i64{block.thread()} * Lanes; i < rest; i += i64{block.threads()} * Lanes) {
      visit(LaneCount<Lanes>{}, i);
    }
  }
  for (i64 i = rest + block.thread(); i < end; i += block.threads()) visit(LaneCount<1>{}, i);
}

}  // namespace gpures
