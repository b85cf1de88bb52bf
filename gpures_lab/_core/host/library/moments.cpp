// Mean and Norm.
#include "../../shared/library/moments.hpp"

#include "table.hpp"

namespace gpures::library {
namespace {

constexpr Operation kMean{.name = "kernels/Mean", .formula = "z[0] = mean(x)"};
constexpr Operation kNorm{.name = "kernels/Norm", .formula = "z[0] = sqrt(sum(abs(x) ** 2))"};

template <DType D>
constexpr DType mean_dtype() {
  return kIsReal<Real<Element<D>>> ? D : DType::kFloat64;
}

template <DType D>
constexpr DType norm_dtype() {
  return kSameType<Real<Element<D>>, float> ? DType::kFloat32 : DType::kFloat64;
}

template <DType D, class P>
void append_both(Table& table) {
  using T = Element<D>;
  constexpr int x = P::place(0), z = P::place(1);
  if constexpr (P::kSame[1] == 1 || mean_dtype<D>() == D) {
    table.reduction<Mean<T, x, z>, P>(kMean, {D, mean_dtype<D>()}, 1, true);
  }
  if constexpr (P::kSame[1] == 1 || norm_dtype<D>() == D) {
    table.reduction<Norm<T, x, z>, P>(kNorm, {D, norm_dtype<D>()}, 1, true);
  }
}

}  // namespace

void append_moments(Table& table) {
  for_each_dtype(Computable{}, [&]<DType D>() {
    for_each_pattern<2>([&]<class P>() { append_both<D, P>(table); });
  });
}

}  // namespace gpures::library
