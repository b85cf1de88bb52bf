// Min, Max, ArgMin in two passes: the best of each part, then the best of those.
#pragma once

#include "../block/extremes.hpp"
#include "passes.hpp"

namespace gpures::library {

// `load(i)` gives term i; of equal ones the lowest index wins. The result is every thread's of the
// one block of the last pass.
template <class T>
struct BestInPasses {
  static WidePlan plan(i64 n) {
    const i64 count = Parts::of(n).count;
    return {2, 2, static_cast<u64>(count > 0 ? count : 1), sizeof(Placed<T>) * u64{kMostParts}};
  }

  template <class Block, class Load, class Better>
  static GPURES_OP void parts(const Block& block, const Pass& pass, const Load& load,
                              const Better& better, i64 n) {
    const Parts parts = Parts::of(n);
    for_each_part(pass, parts.count, [&](i64 part) GPURES_LAMBDA {
      const i64 first = parts.begin(part);
      const Placed<T> start{load(first), first};
      const Placed<T> best = best_of(block, start, load, better, first + 1, parts.end(part));
      if (block.thread() == 0) memory_of<Placed<T>>(pass)[part] = best;
    });
  }

  template <class Block, class Better>
  static GPURES_OP Placed<T> whole(const Block& block, const Pass& pass, const Better& better,
                                   i64 n) {
    const Placed<T>* const found = memory_of<Placed<T>>(pass);
    Placed<T> best = found[0];
    for_each_strided(
        block,
        [&](i64 part) GPURES_LAMBDA {
          if (replaces(found[part], best, better)) best = found[part];
        },
        1, Parts::of(n).count);
    return reduce(block, best, [&](const Placed<T>& a, const Placed<T>& b) GPURES_LAMBDA {
      return replaces(a, b, better) ? a : b;
    });
  }
};

template <class Order, class T, int X, int Z>
struct InPasses<Extreme<Order, T, X, Z>> {
  using Term = KeyOf<T>;

  static WidePlan plan(const Call& call) { return BestInPasses<Term>::plan(call.space[0]); }

  template <class Block>
  static GPURES_OP void run(const Block& block, const Pass& pass, const Call& call) {
    if (is_empty(call)) return;
    const T* const x = array<T>(call, X);
    const auto load = [x](i64 i) GPURES_LAMBDA {
      if constexpr (kIsComplex<T>) {
        return x[i];
      } else {
        return to_key<Order>(x[i]);
      }
    };
    const auto better = [](Term a, Term b) GPURES_LAMBDA {
      if constexpr (kIsComplex<T>) {
        return better_complex<Order>(a, b);
      } else {
        return Order::better(a, b);
      }
    };
    if (pass.number == 0) {
      return BestInPasses<Term>::parts(block, pass, load, better, call.end);
    }
    const Term best = BestInPasses<Term>::whole(block, pass, better, call.end).value;
    if (block.thread() != 0) return;
    if constexpr (kIsComplex<T>) {
      array<T>(call, Z)[0] = best;
    } else {
      array<T>(call, Z)[0] = from_key<T>(best);
    }
  }
};

template <class T, int X, int Z>
struct InPasses<ArgMin<T, X, Z>> {
  using Term = KeyOf<T>;

  static WidePlan plan(const Call& call) { return BestInPasses<Term>::plan(call.space[0]); }

  template <class Block>
  static GPURES_OP void run(const Block& block, const Pass& pass, const Call& call) {
    if (is_empty(call)) return;
    const T* const x = array<T>(call, X);
    const auto load = [x](i64 i) GPURES_LAMBDA {
      if constexpr (kIsComplex<T>) {
        return x[i];
      } else {
        return to_key<Lowest>(ArgMin<T, X, Z>::without_minus_zero(x[i]));
      }
    };
    const auto better = [](Term a, Term b) GPURES_LAMBDA {
      if constexpr (kIsComplex<T>) {
        return better_complex<Lowest>(a, b);
      } else {
        return a < b;
      }
    };
    if (pass.number == 0) {
      return BestInPasses<Term>::parts(block, pass, load, better, call.end);
    }
    const i64 at = BestInPasses<Term>::whole(block, pass, better, call.end).at;
    if (block.thread() == 0) array<i64>(call, Z)[0] = at;
  }
};

}  // namespace gpures::library
