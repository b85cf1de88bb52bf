// The rows of Cast from one list of dtypes; split over files to keep each one's build short.
#pragma once

#include "../../shared/library/convert.hpp"
#include "table.hpp"

namespace gpures::library {

inline constexpr Operation kCast{.name = "kernels/Cast", .formula = "z = x.astype(z.dtype)"};

// Where bits agree, signed and unsigned share code: a narrower integer is the low bytes of either,
// also where a float goes through int32.
template <class From, class To>
using CastFrom =
    Select<kIsInteger<From> && kIsInteger<To> && sizeof(To) <= sizeof(From), Wrapping<From>, From>;
template <class From, class To>
using CastTo = Select<kIsInteger<To> && (kIsInteger<From> || sizeof(To) < 4), Wrapping<To>, To>;

template <class Froms>
void append_casts(Table& table) {
  for_each_dtype(Froms{}, [&]<DType F>() {
    for_each_dtype(Everything{}, [&]<DType T>() {
      using From = CastFrom<Element<F>, Element<T>>;
      using To = CastTo<Element<F>, Element<T>>;
      table.map<Elementwise<UnaryIndex<Convert, From, To, 0, 1>>, Pattern<0, 1>>(kCast, {F, T}, 1);
      if constexpr (F == T) {
        table.map<Elementwise<UnaryIndex<Convert, From, To, 0, 0>>, Pattern<0, 0>>(kCast, {F, T},
                                                                                   1);
      }
    });
  });
}

}  // namespace gpures::library
