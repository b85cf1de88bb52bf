// Gemv, Gemm, Stencil.
#include "../../shared/library/matrix.hpp"

#include "../../shared/library/stencil.hpp"
#include "table.hpp"

namespace gpures::library {
namespace {

constexpr const char* kStencilParams[] = {"alpha"};
constexpr Operation kGemv{.name = "kernels/Gemv", .formula = "z = a @ x"};
constexpr Operation kGemm{.name = "kernels/Gemm", .formula = "z = a @ b"};
constexpr Operation kStencil{
    .name = "kernels/Stencil",
    .formula = "z = x + alpha * (sum of x's four neighbours - 4 * x), border kept",
    .params = kStencilParams};

}  // namespace

void append_matrix(Table& table) {
  for_each_dtype(Numbers{}, [&]<DType D>() {
    using T = Wrapping<Element<D>>;
    table.shaped<Gemv<T, 0, 1, 2>, Pattern<0, 1, 2>>(kGemv, {D, D, D}, {"ij", "j", "i"});
    table.shaped<Gemm<T, 0, 1, 2>, Pattern<0, 1, 2>>(kGemm, {D, D, D}, {"ik", "kj", "ij"});
    table.shaped<Gemm<T, 0, 0, 1>, Pattern<0, 0, 2>>(kGemm, {D, D, D}, {"ik", "kj", "ij"});
  });
  for_each_dtype(Floats{}, [&]<DType D>() {
    table.shaped<HeatStep<Element<D>, 0, 1>, Pattern<0, 1>>(kStencil, {D, D}, {"ij", "ij"}, {D});
  });
}

}  // namespace gpures::library
