// Add, Sub, Mul, Div, one dtype for all three arrays; Div of integers gives float64.
#include "table.hpp"

namespace gpures::library {
namespace {

constexpr const char* kAddAliases[] = {"kernels/VectorAdd"};
constexpr Operation kAdd{
    .name = "kernels/Add", .formula = "z = x + y", .aliases = kAddAliases};
constexpr Operation kSub{.name = "kernels/Sub", .formula = "z = x - y"};
constexpr Operation kMul{.name = "kernels/Mul", .formula = "z = x * y"};
constexpr Operation kDiv{.name = "kernels/Div", .formula = "z = x / y"};

// `Parts`: the operation works on real and imaginary parts alike, so a complex array is an array
// of twice as many reals, which vectorizes without shuffles.
template <class Op, bool Parts, class Types>
void append_binary(Table& table, const Operation& operation, Types) {
  for_each_dtype(Types{}, [&]<DType D>() {
    for_each_pattern<3>([&]<class P>() {
      using Whole = Wrapping<Element<D>>;
      constexpr bool split = Parts && kIsComplex<Whole>;
      using T = Select<split, Real<Whole>, Whole>;
      using Index = BinaryIndex<Op, T, T, P::place(0), P::place(1), P::place(2)>;
      table.map<Elementwise<Index, split ? 2 : 1>, P>(operation, {D, D, D}, 2);
    });
  });
}

template <DType D, class P>
void append_integer_division(Table& table) {
  using Index = BinaryIndex<Div, Element<D>, double, P::place(0), P::place(1), P::place(2)>;
  table.map<Elementwise<Index>, P>(kDiv, {D, D, DType::kFloat64}, 2);
}

}  // namespace

void append_arithmetic(Table& table) {
  append_binary<Add, true>(table, kAdd, Computable{});
  append_binary<Sub, true>(table, kSub, Numbers{});
  append_binary<Mul, false>(table, kMul, Computable{});
  append_binary<Div, false>(table, kDiv, Inexact{});
  for_each_dtype(Integers{}, [&]<DType D>() {
    append_integer_division<D, Pattern<0, 1, 2>>(table);
    append_integer_division<D, Pattern<0, 0, 2>>(table);
  });
}

}  // namespace gpures::library
