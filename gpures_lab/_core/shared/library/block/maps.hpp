// Maps on a block: each thread takes up to four neighbouring elements at a time, with one load an
// array before any store.
#pragma once

#include "../../vector.hpp"
#include "../unary.hpp"
#include "block.hpp"

namespace gpures::library {

template <class T, int Lanes>
struct alignas(sizeof(T) * Lanes) Pack {
  T lane[Lanes];
};

// The integer that a pack travels as: a struct may be moved in pieces, this is not.
template <int Bytes>
using VectorOf =
    Select<Bytes == 16, Vector16, Select<Bytes == 8, Vector8, UnsignedOf<(Bytes < 8 ? Bytes : 1)>>>;

template <int Lanes, class T>
GPURES_OP Pack<T, Lanes> load_pack(const T* from) {
  return bits_as<Pack<T, Lanes>>(
      *reinterpret_cast<const VectorOf<static_cast<int>(sizeof(T)) * Lanes>*>(from));
}

template <int Lanes, class T>
GPURES_OP void store_pack(T* to, const Pack<T, Lanes>& pack) {
  using Vector = VectorOf<static_cast<int>(sizeof(T)) * Lanes>;
  *reinterpret_cast<Vector*>(to) = bits_as<Vector>(pack);
}

// As many elements as the widest type has in 16 bytes, at most four: more would only use registers.
template <class... T>
GPURES_OP constexpr int lanes_of() {
  int widest = 4;
  ((widest = static_cast<int>(sizeof(T)) > widest ? static_cast<int>(sizeof(T)) : widest), ...);
  return 16 / widest;
}

template <int Lanes, class... T>
GPURES_OP bool aligned(const T*... at) {
  return (((reinterpret_cast<u64>(at) & (sizeof(T) * Lanes - 1)) == 0) && ...);
}

// One functor of elementwise.hpp as load → compute → store of a pack that begins at element i.
template <class Index>
struct PackOf;

template <class Value, int Z>
struct PackOf<FillIndex<Value, Z>> {
  static constexpr int kLanes = lanes_of<Value>();
  static GPURES_OP bool fits(const FillIndex<Value, Z>& f, i64 i) {
    return aligned<kLanes>(f.z + i);
  }
  static GPURES_OP void run(const FillIndex<Value, Z>& f, i64 i) {
    Pack<Value, kLanes> z;
    for (int lane = 0; lane < kLanes; ++lane) z.lane[lane] = f.value;
    store_pack<kLanes>(f.z + i, z);
  }
};

template <class Op, class In, class Out, int X, int Z>
struct PackOf<UnaryIndex<Op, In, Out, X, Z>> {
  using Index = UnaryIndex<Op, In, Out, X, Z>;
  static constexpr int kLanes = lanes_of<In, Out>();
  static GPURES_OP bool fits(const Index& f, i64 i) { return aligned<kLanes>(f.x + i, f.z + i); }
  static GPURES_OP void run(const Index& f, i64 i) {
    const auto x = load_pack<kLanes>(f.x + i);
    Pack<Out, kLanes> z;
    for (int lane = 0; lane < kLanes; ++lane) z.lane[lane] = Op::template apply<Out>(x.lane[lane]);
    store_pack<kLanes>(f.z + i, z);
  }
};

template <class Op, class In, class Out, int X, int Y, int Z>
struct PackOf<BinaryIndex<Op, In, Out, X, Y, Z>> {
  using Index = BinaryIndex<Op, In, Out, X, Y, Z>;
  static constexpr int kLanes = lanes_of<In, Out>();
  static GPURES_OP bool fits(const Index& f, i64 i) {
    return aligned<kLanes>(f.x + i, f.y + i, f.z + i);
  }
  static GPURES_OP void run(const Index& f, i64 i) {
    const auto x = load_pack<kLanes>(f.x + i);
    const auto y = load_pack<kLanes>(f.y + i);
    Pack<Out, kLanes> z;
    for (int lane = 0; lane < kLanes; ++lane) {
      z.lane[lane] = Op::template apply<Out>(x.lane[lane], y.lane[lane]);
    }
    store_pack<kLanes>(f.z + i, z);
  }
};

template <class Op, class T, int X, int Y, int W, int Z>
struct PackOf<TernaryIndex<Op, T, X, Y, W, Z>> {
  using Index = TernaryIndex<Op, T, X, Y, W, Z>;
  static constexpr int kLanes = lanes_of<T>();
  static GPURES_OP bool fits(const Index& f, i64 i) {
    return aligned<kLanes>(f.x + i, f.y + i, f.w + i, f.z + i);
  }
  static GPURES_OP void run(const Index& f, i64 i) {
    const auto x = load_pack<kLanes>(f.x + i);
    const auto y = load_pack<kLanes>(f.y + i);
    const auto w = load_pack<kLanes>(f.w + i);
    Pack<T, kLanes> z;
    for (int lane = 0; lane < kLanes; ++lane) {
      z.lane[lane] = Op::template apply<T>(x.lane[lane], y.lane[lane], w.lane[lane]);
    }
    store_pack<kLanes>(f.z + i, z);
  }
};

template <class T, int X, int Y, int Z>
struct PackOf<SaxpyIndex<T, X, Y, Z>> {
  using Index = SaxpyIndex<T, X, Y, Z>;
  static constexpr int kLanes = lanes_of<T>();
  static GPURES_OP bool fits(const Index& f, i64 i) {
    return aligned<kLanes>(f.x + i, f.y + i, f.z + i);
  }
  static GPURES_OP void run(const Index& f, i64 i) {
    const auto x = load_pack<kLanes>(f.x + i);
    const auto y = load_pack<kLanes>(f.y + i);
    Pack<T, kLanes> z;
    for (int lane = 0; lane < kLanes; ++lane) {
      z.lane[lane] = add(multiply(f.a, x.lane[lane]), y.lane[lane]);
    }
    store_pack<kLanes>(f.z + i, z);
  }
};

template <class Index, int Parts>
struct OnBlock<Elementwise<Index, Parts>> {
  static constexpr bool kAnyBlocks = true;
  template <class Block>
  static GPURES_OP void run(const Block& block, const Call& call) {
    using Packed = PackOf<Index>;
    constexpr i64 kLanes = Packed::kLanes;
    const Index index(call);
    const i64 begin = call.begin * Parts, end = call.end * Parts;
    if (kLanes == 1 || !Packed::fits(index, begin)) {
      for_each_strided(block, index, begin, end);
      return;
    }
    const i64 packed = begin + (end - begin) / kLanes * kLanes;
    for (i64 i = begin + block.thread() * kLanes; i < packed; i += block.threads() * kLanes) {
      Packed::run(index, i);
    }
    for_each_strided(block, index, packed, end);
  }
};

}  // namespace gpures::library
