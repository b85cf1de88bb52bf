// Fill and Copy: bytes that are moved, so dtypes of one size share their code.
#include "table.hpp"

namespace gpures::library {
namespace {

constexpr const char* kFillParams[] = {"value"};
constexpr Operation kFill{.name = "kernels/Fill", .formula = "z = value", .params = kFillParams};
constexpr Operation kCopy{.name = "kernels/Copy", .formula = "z = x"};

}  // namespace

void append_movement(Table& table) {
  for_each_dtype(Everything{}, [&]<DType D>() {
    using Value = Storage<Element<D>>;
    table.map<Elementwise<FillIndex<Value, 0>>, Pattern<0>>(kFill, {D}, 0, {D});
    for_each_pattern<2>([&]<class P>() {
      using Index = UnaryIndex<Same, Value, Value, P::place(0), P::place(1)>;
      table.map<Elementwise<Index>, P>(kCopy, {D, D}, 1);
    });
  });
}

}  // namespace gpures::library
