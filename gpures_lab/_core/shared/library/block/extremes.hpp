// Min, Max, ArgMin on a block: each thread its own best, then the best of those. Of equal ones the
// lowest index wins, so the threads' shares do not matter.
#pragma once

#include "../extremes.hpp"
#include "block.hpp"

namespace gpures::library {

template <class T>
struct Placed {
  T value;
  i64 at;
};

// Whether `a` must replace `b`, given which value is better.
template <class T, class Better>
GPURES_OP bool replaces(const Placed<T>& a, const Placed<T>& b, const Better& better) {
  if (better(a.value, b.value)) return true;
  return !better(b.value, a.value) && a.at < b.at;
}

// The best of `start` and [begin, end).
template <class T, class Block, class Load, class Better>
GPURES_OP Placed<T> best_of(const Block& block, const Placed<T>& start, const Load& load,
                            const Better& better, i64 begin, i64 end) {
  Placed<T> best = start;
  for_each_strided(
      block,
      [&](i64 i) GPURES_LAMBDA {
        const Placed<T> here{load(i), i};
        if (replaces(here, best, better)) best = here;
      },
      begin, end);
  return reduce(block, best, [&](const Placed<T>& a, const Placed<T>& b) GPURES_LAMBDA {
    return replaces(a, b, better) ? a : b;
  });
}

template <class Order, class T, int X, int Z>
struct OnBlock<Extreme<Order, T, X, Z>> {
  static constexpr bool kAnyBlocks = false;
  template <class Block>
  static GPURES_OP void run(const Block& block, const Call& call) {
    if (is_empty(call)) return;
    const T* const x = array<T>(call, X);
    T* const z = array<T>(call, Z);
    T result;
    if constexpr (kIsComplex<T>) {
      const Placed<T> start{call.begin == 0 ? x[0] : z[0], -1};
      const auto load = [x](i64 i) GPURES_LAMBDA { return x[i]; };
      const auto better = [](T a, T b) GPURES_LAMBDA { return better_complex<Order>(a, b); };
      result = best_of(block, start, load, better, call.begin, call.end).value;
    } else {
      using Key = KeyOf<T>;
      Key best = call.begin == 0 ? Order::template kWorst<Key> : to_key<Order>(z[0]);
      for_each_strided(
          block,
          [&](i64 i) GPURES_LAMBDA {
            const Key key = to_key<Order>(x[i]);
            best = Order::better(key, best) ? key : best;
          },
          call.begin, call.end);
      best = reduce(block, best,
                    [](Key a, Key b) GPURES_LAMBDA { return Order::better(b, a) ? b : a; });
      result = from_key<T>(best);
    }
    if (block.thread() == 0) z[0] = result;
  }
};

template <class T, int X, int Z>
struct OnBlock<ArgMin<T, X, Z>> {
  static constexpr bool kAnyBlocks = false;
  template <class Block>
  static GPURES_OP void run(const Block& block, const Call& call) {
    if (is_empty(call)) return;
    const T* const x = array<T>(call, X);
    i64* const z = array<i64>(call, Z);
    const i64 from = call.begin == 0 ? 0 : z[0];
    i64 at;
    if constexpr (kIsComplex<T>) {
      const auto load = [x](i64 i) GPURES_LAMBDA { return x[i]; };
      const auto better = [](T a, T b) GPURES_LAMBDA { return better_complex<Lowest>(a, b); };
      const Placed<T> start{x[from], from};
      at = best_of(block, start, load, better, call.begin, call.end).at;
    } else {
      using Key = KeyOf<T>;
      const auto load = [x](i64 i) GPURES_LAMBDA {
        return to_key<Lowest>(ArgMin<T, X, Z>::without_minus_zero(x[i]));
      };
      const auto better = [](Key a, Key b) GPURES_LAMBDA { return a < b; };
      const Placed<Key> start{load(from), from};
      at = best_of(block, start, load, better, call.begin, call.end).at;
    }
    if (block.thread() == 0) z[0] = at;
  }
};

}  // namespace gpures::library
