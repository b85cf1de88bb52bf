// Scan, Histogram, Gather, Scatter.
#include "../../shared/library/histogram.hpp"
#include "../../shared/library/indexed.hpp"
#include "../../shared/library/scan.hpp"
#include "table.hpp"

namespace gpures::library {
namespace {

constexpr const char* kHistogramParams[] = {"lo", "hi"};
constexpr Operation kScan{.name = "kernels/Scan", .formula = "z = cumsum(x)"};
constexpr Operation kHistogram{.name = "kernels/Histogram",
                               .formula = "z = counts of x in z.size bins from lo to hi",
                               .params = kHistogramParams};
constexpr Operation kGather{.name = "kernels/Gather", .formula = "z = x[index]"};
constexpr Operation kScatter{.name = "kernels/Scatter", .formula = "z[index] = x"};

using Apart = Pattern<0, 1>;

template <DType D>
constexpr DType scan_dtype() {
  using T = Element<D>;
  if constexpr (kIsUnsigned<T>) return DType::kUInt64;
  if constexpr (kIsSigned<T> || kSameType<T, Bool>) return DType::kInt64;
  return D;
}

template <DType D, class P>
void append_indexed(Table& table) {
  using Value = Storage<Element<D>>;
  constexpr int x = P::place(0), index = P::place(1), z = P::place(2);
  // z may be the index array, never what is read at another place.
  if constexpr (P::kSame[2] != 0) {
    table.gather<Gather<Value, x, index, z>, P>(kGather, {D, DType::kInt64, D});
  }
  if constexpr (P::kSame[2] == 2) {
    table.scatter<Scatter<Value, x, index, z>, P>(kScatter, {D, DType::kInt64, D});
  }
}

}  // namespace

void append_indexing(Table& table) {
  for_each_dtype(Computable{}, [&]<DType D>() {
    using T = Element<D>;
    table.sequence<Scan<T, 0, 1>, Apart>(kScan, {D, scan_dtype<D>()});
    if constexpr (scan_dtype<D>() == D) {
      table.sequence<Scan<T, 0, 0>, Pattern<0, 0>>(kScan, {D, D});
    }
  });
  for_each_dtype(Join<Bools, Reals>{}, [&]<DType D>() {
    table.reduction<Histogram<Element<D>, 0, 1>, Apart>(kHistogram, {D, DType::kInt64}, 1, false,
                                                        {DType::kFloat64, DType::kFloat64},
                                                        Needs::kOneElement);
  });
  for_each_dtype(Everything{}, [&]<DType D>() {
    append_indexed<D, Pattern<0, 1, 2>>(table);
    if constexpr (D == DType::kInt64) {
      append_indexed<D, Pattern<0, 0, 2>>(table);
      append_indexed<D, Pattern<0, 1, 1>>(table);
    }
  });
}

}  // namespace gpures::library
