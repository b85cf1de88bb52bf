// Fma (one rounding) and Saxpy (two, as in NumPy).
#include "table.hpp"

namespace gpures::library {
namespace {

constexpr const char* kSaxpyParams[] = {"a"};
constexpr Operation kFma{.name = "kernels/Fma", .formula = "z = fma(x, y, w)"};
constexpr Operation kSaxpy{
    .name = "kernels/Saxpy", .formula = "z = a * x + y", .params = kSaxpyParams};

}  // namespace

void append_fused(Table& table) {
  for_each_dtype(Reals{}, [&]<DType D>() {
    for_each_pattern<4>([&]<class P>() {
      using Index = TernaryIndex<Fma, Wrapping<Element<D>>, P::place(0), P::place(1), P::place(2),
                                 P::place(3)>;
      table.map<Elementwise<Index>, P>(kFma, {D, D, D, D}, 3);
    });
  });
  for_each_dtype(Numbers{}, [&]<DType D>() {
    for_each_pattern<3>([&]<class P>() {
      using Index = SaxpyIndex<Wrapping<Element<D>>, P::place(0), P::place(1), P::place(2)>;
      table.map<Elementwise<Index>, P>(kSaxpy, {D, D, D}, 2, {D});
    });
  });
}

}  // namespace gpures::library
