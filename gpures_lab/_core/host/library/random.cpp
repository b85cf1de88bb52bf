// RandomUniform, RandomNormal.
#include "../../shared/library/random.hpp"

#include "table.hpp"

namespace gpures::library {
namespace {

constexpr const char* kParams[] = {"seed", "offset"};
constexpr Operation kUniform{
    .name = "kernels/RandomUniform", .formula = "z = uniform in [0, 1)", .params = kParams};
constexpr Operation kNormal{.name = "kernels/RandomNormal",
                            .formula = "z = normal, mean 0, variance 1",
                            .params = kParams};

}  // namespace

void append_random(Table& table) {
  for_each_dtype(Floats{}, [&]<DType D>() {
    using T = Element<D>;
    const auto seeds = {DType::kUInt64, DType::kUInt64};
    table.map<Random<Uniform, T, 0>, Pattern<0>>(kUniform, {D}, 0, seeds);
    table.map<Random<Normal, T, 0>, Pattern<0>>(kNormal, {D}, 0, seeds);
  });
}

}  // namespace gpures::library
