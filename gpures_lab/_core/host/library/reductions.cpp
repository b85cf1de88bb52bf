// Sum, Dot, Min, Max, ArgMin.
#include "../../shared/library/reductions.hpp"

#include "../../shared/library/extremes.hpp"
#include "table.hpp"

namespace gpures::library {
namespace {

constexpr Operation kSum{.name = "kernels/Sum", .formula = "z[0] = sum(x)"};
constexpr Operation kDot{.name = "kernels/Dot", .formula = "z[0] = sum(x * y)"};
constexpr Operation kMin{.name = "kernels/Min", .formula = "z[0] = min(x)"};
constexpr Operation kMax{.name = "kernels/Max", .formula = "z[0] = max(x)"};
constexpr Operation kArgMin{.name = "kernels/ArgMin", .formula = "z[0] = argmin(x)"};

using Apart = Pattern<0, 1>;
using InPlace = Pattern<0, 0>;

// The dtype whose element type is SumOf<T>.
template <DType D>
constexpr DType sum_dtype() {
  using T = Element<D>;
  if constexpr (kIsUnsigned<T>) return DType::kUInt64;
  if constexpr (kIsSigned<T> || kSameType<T, Bool>) return DType::kInt64;
  return D;
}

template <DType D, class P>
void append_sum(Table& table) {
  using T = Element<D>;
  constexpr bool floating = kIsReal<Real<T>>;
  constexpr int x = P::place(0), z = P::place(1);
  if constexpr (floating) {
    table.reduction<FloatSum<T, x, z>, P>(kSum, {D, sum_dtype<D>()}, 1, true);
  } else {
    table.reduction<IntegerSum<T, x, z>, P>(kSum, {D, sum_dtype<D>()}, 1, false);
  }
}

}  // namespace

void append_reductions(Table& table) {
  for_each_dtype(Computable{}, [&]<DType D>() {
    using T = Element<D>;
    append_sum<D, Apart>(table);
    if constexpr (sum_dtype<D>() == D) append_sum<D, InPlace>(table);

    for_each_pattern<3>([&]<class P>() {
      constexpr int x = P::place(0), y = P::place(1), z = P::place(2);
      if constexpr (kIsReal<Real<T>>) {
        table.reduction<FloatDot<T, x, y, z>, P>(kDot, {D, D, D}, 2, true);
      } else {
        table.reduction<IntegerDot<Wrapping<T>, x, y, z>, P>(kDot, {D, D, D}, 2, false);
      }
    });

    for_each_pattern<2>([&]<class P>() {
      constexpr int x = P::place(0), z = P::place(1);
      table.reduction<Extreme<Lowest, T, x, z>, P>(kMin, {D, D}, 1, false);
      table.reduction<Extreme<Highest, T, x, z>, P>(kMax, {D, D}, 1, false);
    });

    // Not in place: a later slice compares with x at the index found so far.
    table.reduction<ArgMin<T, 0, 1>, Apart>(kArgMin, {D, DType::kInt64}, 1, false);
  });
}

}  // namespace gpures::library
