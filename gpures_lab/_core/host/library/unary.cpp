// Neg, Abs, Relu, Sqrt, Exp, Log, Sin, Cos, Tanh, Sigmoid.
#include "../../shared/library/unary.hpp"

#include "table.hpp"

namespace gpures::library {
namespace {

template <DType D>
constexpr DType modulus_dtype() {
  if constexpr (D == DType::kComplex64) return DType::kFloat32;
  if constexpr (D == DType::kComplex128) return DType::kFloat64;
  return D;
}

template <class Op, class Types>
void append_unary(Table& table, const Operation& operation, Types) {
  for_each_dtype(Types{}, [&]<DType D>() {
    for_each_pattern<2>([&]<class P>() {
      using T = Element<D>;
      using Index = UnaryIndex<Op, T, T, P::place(0), P::place(1)>;
      table.map<Elementwise<Index>, P>(operation, {D, D}, 1);
    });
  });
}

void append_neg(Table& table) {
  constexpr Operation neg{.name = "kernels/Neg", .formula = "z = -x"};
  for_each_dtype(Numbers{}, [&]<DType D>() {
    for_each_pattern<2>([&]<class P>() {
      constexpr int parts = kIsComplex<Element<D>> ? 2 : 1;
      using T = Real<Wrapping<Element<D>>>;
      using Index = UnaryIndex<Neg, T, T, P::place(0), P::place(1)>;
      table.map<Elementwise<Index, parts>, P>(neg, {D, D}, 1);
    });
  });
}

void append_abs(Table& table) {
  constexpr Operation abs{.name = "kernels/Abs", .formula = "z = abs(x)"};
  append_unary<Abs>(table, abs, Reals{});
  for_each_dtype(Complexes{}, [&]<DType D>() {
    using T = Element<D>;
    using Index = UnaryIndex<Abs, T, Real<T>, 0, 1>;
    table.map<Elementwise<Index>, Pattern<0, 1>>(abs, {D, modulus_dtype<D>()}, 1);
  });
}

}  // namespace

void append_unary(Table& table) {
  append_neg(table);
  append_abs(table);
  append_unary<Relu>(table, {.name = "kernels/Relu", .formula = "z = max(x, 0)"}, Reals{});
  append_unary<Sqrt>(table, {.name = "kernels/Sqrt", .formula = "z = sqrt(x)"}, Floats{});
  append_unary<Exp>(table, {.name = "kernels/Exp", .formula = "z = exp(x)"}, Floats{});
  append_unary<Log>(table, {.name = "kernels/Log", .formula = "z = log(x)"}, Floats{});
  append_unary<Sin>(table, {.name = "kernels/Sin", .formula = "z = sin(x)"}, Floats{});
  append_unary<Cos>(table, {.name = "kernels/Cos", .formula = "z = cos(x)"}, Floats{});
  append_unary<Tanh>(table, {.name = "kernels/Tanh", .formula = "z = tanh(x)"}, Floats{});
  append_unary<Sigmoid>(
      table, {.name = "kernels/Sigmoid", .formula = "z = 1 / (1 + exp(-x))"}, Floats{});
}

}  // namespace gpures::library
