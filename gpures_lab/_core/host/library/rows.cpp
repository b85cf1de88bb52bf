// Softmax, LayerNorm, Sort.
#include "../../shared/library/rows.hpp"

#include "../../shared/library/sort.hpp"
#include "table.hpp"

namespace gpures::library {
namespace {

constexpr const char* kLayerNormParams[] = {"eps"};
constexpr Operation kSoftmax{.name = "kernels/Softmax",
                             .formula = "z = exp(x) / sum(exp(x)), along the last axis"};
constexpr Operation kLayerNorm{
    .name = "kernels/LayerNorm",
    .formula = "z = (x - mean) / sqrt(var + eps) * weight + bias, along the last axis",
    .params = kLayerNormParams};
constexpr Operation kSort{.name = "kernels/Sort", .formula = "z = sort(x)"};

template <DType D, int Ndim>
void append_for(Table& table) {
  using T = Element<D>;
  constexpr const char* all = Ndim == 1 ? "j" : Ndim == 2 ? "ij" : "hij";
  for_each_pattern<2>([&]<class P>() {
    table.rows<Softmax<T, Ndim, P::place(0), P::place(1)>, P>(kSoftmax, {D, D}, {all, all});
  });
  const auto layer_norm = [&]<class P>() {
    using Kernel = LayerNorm<T, Ndim, P::place(0), P::place(1), P::place(2), P::place(3)>;
    table.rows<Kernel, P>(kLayerNorm, {D, D, D, D}, {all, "j", "j", all}, {D});
  };
  layer_norm.template operator()<Pattern<0, 1, 2, 3>>();
  layer_norm.template operator()<Pattern<0, 1, 2, 0>>();
}

}  // namespace

void append_rows(Table& table) {
  for_each_dtype(Floats{}, [&]<DType D>() {
    append_for<D, 1>(table);
    append_for<D, 2>(table);
    append_for<D, 3>(table);
  });
  for_each_dtype(Join<Bools, Reals>{}, [&]<DType D>() {
    for_each_pattern<2>([&]<class P>() {
      table.whole<Sort<Element<D>, P::place(0), P::place(1)>, P>(kSort, {D, D});
    });
  });
}

}  // namespace gpures::library
