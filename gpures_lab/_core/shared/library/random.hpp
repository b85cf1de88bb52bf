// Uniform and normal numbers that depend on (seed, offset + i) alone: the same bits for any slices,
// any number of threads, on both drivers. One Philox block gives four float32 or two float64.
#pragma once

#include "elementwise.hpp"
#include "math.hpp"
#include "philox.hpp"

namespace gpures::library {

// The `Lanes` numbers of one block; block b of a stream holds numbers b * kLanes and following.
template <class T>
struct RandomBlock {
  static constexpr int kLanes = sizeof(T) == 4 ? 4 : 2;
  T number[kLanes];
};

// In [0, 1): the top 24 or 53 bits of a word.
GPURES_OP float unit_interval(u32 bits) {
  return static_cast<float>(bits >> 8) * 5.9604644775390625e-08f;
}
GPURES_OP double unit_interval(u64 bits) {
  return static_cast<double>(bits >> 11) * 1.1102230246251565e-16;
}

template <class T>
GPURES_OP RandomBlock<T> uniform_block(u64 block, u64 seed) {
  const Words4 words = philox4x32(block, 0, seed);
  RandomBlock<T> out;
  for (int lane = 0; lane < RandomBlock<T>::kLanes; ++lane) {
    if constexpr (sizeof(T) == 4) {
      out.number[lane] = unit_interval(words.word[lane]);
    } else {
      out.number[lane] =
          unit_interval(u64{words.word[2 * lane + 1]} << 32 | words.word[2 * lane]);
    }
  }
  return out;
}

// sin and cos of 2 pi u for u in [0, 1), by the octant's Taylor series: adds and multiplies only,
// so that a device which does not contract gives the same bits. Error below 1e-15.
struct SinCos {
  double sine, cosine;
};

GPURES_OP SinCos sin_cos_turn(double u) {
  const int quarter = static_cast<int>(u * 4 + 0.5);  // 0..4
  const double angle = (u - quarter * 0.25) * 6.283185307179586;
  const double a2 = angle * angle;
  double s = 1.0 / 355687428096000;  // 1/17!
  s = s * a2 - 1.0 / 1307674368000;
  s = s * a2 + 1.0 / 6227020800;
  s = s * a2 - 1.0 / 39916800;
  s = s * a2 + 1.0 / 362880;
  s = s * a2 - 1.0 / 5040;
  s = s * a2 + 1.0 / 120;
  s = s * a2 - 1.0 / 6;
  s = angle + angle * (s * a2);
  double c = 1.0 / 20922789888000;  // 1/16!
  c = c * a2 - 1.0 / 87178291200;
  c = c * a2 + 1.0 / 479001600;
  c = c * a2 - 1.0 / 3628800;
  c = c * a2 + 1.0 / 40320;
  c = c * a2 - 1.0 / 720;
  c = c * a2 + 1.0 / 24;
  c = c * a2 - 0.5;
  c = 1.0 + c * a2;
  const bool odd = (quarter & 1) != 0;
  const double sine = odd ? c : s;
  const double cosine = odd ? -s : c;
  const bool turned = (quarter & 2) != 0;
  return SinCos{turned ? -sine : sine, turned ? -cosine : cosine};
}

// Box-Muller: two uniforms make two normals. 1 - u is in (0, 1], so the logarithm is finite.
template <class T>
GPURES_OP void box_muller(T u, T turn, T* out) {
  const double radius = square_root(-2 * log_double(1 - static_cast<double>(u)));
  const SinCos point = sin_cos_turn(static_cast<double>(turn));
  out[0] = static_cast<T>(radius * point.cosine);
  out[1] = static_cast<T>(radius * point.sine);
}

struct Uniform {
  template <class T>
  static GPURES_OP RandomBlock<T> block(u64 block, u64 seed) {
    return uniform_block<T>(block, seed);
  }
};

struct Normal {
  template <class T>
  static GPURES_OP RandomBlock<T> block(u64 block, u64 seed) {
    RandomBlock<T> out = uniform_block<T>(block, seed);
    for (int lane = 0; lane < RandomBlock<T>::kLanes; lane += 2) {
      box_muller(out.number[lane], out.number[lane + 1], out.number + lane);
    }
    return out;
  }
};

// Params: seed, offset (the stream's first number). Offsets wrap at 2^64.
template <class Law, class T, int Z>
struct Random {
  static constexpr u64 kLanes = RandomBlock<T>::kLanes;

  static GPURES_OP void run(const Call& call) {
    T* const z = array<T>(call, Z);
    const u64 seed = call.params[0];
    const u64 offset = call.params[1];
    for (i64 i = call.begin; i < call.end;) {
      const u64 position = offset + static_cast<u64>(i);
      const RandomBlock<T> block = Law::template block<T>(position / kLanes, seed);
      for (u64 lane = position % kLanes; lane < kLanes && i < call.end; ++lane, ++i) {
        z[i] = block.number[lane];
      }
    }
  }
};

}  // namespace gpures::library
