// How the rows are made: lists of dtypes and alias patterns as types, one entry point per
// instruction set from one inlined body.
#pragma once

#include <concepts>
#include <initializer_list>
#include <vector>

#include "../../shared/library/elementwise.hpp"
#include "../../shared/library/wide/all.hpp"
#include "catalogue.hpp"

#if defined(__x86_64__) && defined(__GNUC__)
#define GPURES_X86_VARIANTS 1
#else
#define GPURES_X86_VARIANTS 0
#endif

namespace gpures::library {

// The C entry points of `Kernel::run`. Explicit target attributes rather than target_clones: no
// ifunc (musl, sanitizers), the same on clang, and each variant can be tested on its own.
template <class Kernel>
void enter_baseline(void* const* data, const i64* sizes, const i64* shapes, const u64* params,
                    const i64* space, i64 begin, i64 end, i64* fault) {
  Kernel::run(Call{data, sizes, shapes, params, space, begin, end, fault});
}

#if GPURES_X86_VARIANTS
template <class Kernel>
__attribute__((target("arch=x86-64-v3"))) void enter_avx2(void* const* data, const i64* sizes,
                                                          const i64* shapes, const u64* params,
                                                          const i64* space, i64 begin, i64 end,
                                                          i64* fault) {
  Kernel::run(Call{data, sizes, shapes, params, space, begin, end, fault});
}

template <class Kernel>
__attribute__((target("arch=x86-64-v4"))) void enter_avx512(void* const* data, const i64* sizes,
                                                            const i64* shapes, const u64* params,
                                                            const i64* space, i64 begin, i64 end,
                                                            i64* fault) {
  Kernel::run(Call{data, sizes, shapes, params, space, begin, end, fault});
}
#endif

template <class Kernel>
gpures_kernel entry_point([[maybe_unused]] Isa isa) {
#if GPURES_X86_VARIANTS
  if (isa == Isa::kAvx512) return enter_avx512<Kernel>;
  if (isa == Isa::kAvx2) return enter_avx2<Kernel>;
#endif
  return enter_baseline<Kernel>;
}

// Names the type for whoever compiles the same row for a device; valid C++ on every compiler.
template <class Kernel>
const char* kernel_type_text() {
  return __PRETTY_FUNCTION__;
}

template <class Kernel>
WidePlanner planner() {
  if constexpr (kInPasses<Kernel>) {
    return [](const i64* sizes, const i64* shapes, const i64* space) {
      return InPasses<Kernel>::plan(
          Call{nullptr, sizes, shapes, nullptr, space, 0, space[0], nullptr});
    };
  } else {
    return nullptr;
  }
}

// Which binding positions hold equal handles: kSame[p] is the first position that holds p's.
template <int... Same>
struct Pattern {
  static constexpr int kArity = sizeof...(Same);
  static constexpr int kSame[kArity] = {Same...};

  // Binding position -> place in the compiled order.
  static constexpr int place(int position) {
    int places = 0;
    for (int p = 0; p < kSame[position]; ++p) places += kSame[p] == p;
    return places;
  }
};

// Calls `visit.template operator()<Pattern<...>>()` for every pattern of `Arity` positions.
template <int Arity, int... Same, class Visit>
void for_each_pattern(const Visit& visit) {
  if constexpr (sizeof...(Same) == Arity) {
    visit.template operator()<Pattern<Same...>>();
  } else {
    constexpr int next = sizeof...(Same);
    constexpr int same[next + 1] = {Same..., next};
    [&]<int... Place>(std::integer_sequence<int, Place...>) {
      (
          [&] {
            if constexpr (same[Place] == Place) for_each_pattern<Arity, Same..., Place>(visit);
          }(),
          ...);
    }(std::make_integer_sequence<int, next + 1>{});
  }
}

template <DType... D>
struct DTypes {};

template <class A, class B>
struct JoinOf;
template <DType... A, DType... B>
struct JoinOf<DTypes<A...>, DTypes<B...>> {
  using type = DTypes<A..., B...>;
};
template <class A, class B>
using Join = typename JoinOf<A, B>::type;

template <DType... D, class Visit>
void for_each_dtype(DTypes<D...>, const Visit& visit) {
  (visit.template operator()<D>(), ...);
}

using Bools = DTypes<DType::kBool>;
using Integers = DTypes<DType::kInt8, DType::kInt16, DType::kInt32, DType::kInt64, DType::kUInt8,
                        DType::kUInt16, DType::kUInt32, DType::kUInt64>;
using Floats = DTypes<DType::kFloat32, DType::kFloat64>;
using Complexes = DTypes<DType::kComplex64, DType::kComplex128>;
using Halves = DTypes<DType::kFloat16>;
using Inexact = Join<Floats, Complexes>;
using Reals = Join<Integers, Floats>;
using Numbers = Join<Integers, Inexact>;
using Computable = Join<Bools, Numbers>;
using Everything = Join<Computable, Halves>;

// What all rows of an operation share.
struct Operation {
  const char* name;
  const char* formula;
  std::span<const char* const> aliases = {};
  std::span<const char* const> params = {};
};

class Table {
 public:
  explicit Table(Isa isa) : isa_(isa) {}

  // Every array has n elements and each index touches only its own.
  template <class Kernel, class P>
  void map(const Operation& operation, std::initializer_list<DType> dtypes, int inputs,
           std::initializer_list<DType> param_dtypes = {}) {
    Entry& row = add<Kernel, P>(operation, dtypes, inputs, param_dtypes);
    row.map = true;
    for (int p = 0; p < row.arrays; ++p) row.elements_rule[p] = static_cast<u8>(Needs::kSpace);
  }

  // Inputs of the first one's size, one element out (or as many as `outputs` says).
  template <class Kernel, class P>
  void reduction(const Operation& operation, std::initializer_list<DType> dtypes, int inputs,
                 bool whole, std::initializer_list<DType> param_dtypes = {},
                 Needs outputs = Needs::kOnlyOne) {
    Entry& row = add<Kernel, P>(operation, dtypes, inputs, param_dtypes);
    row.reduction = true;
    row.whole = whole;
    for (int p = 0; p < inputs; ++p) row.elements_rule[p] = static_cast<u8>(Needs::kSpace);
    for (int p = inputs; p < row.arrays; ++p) row.elements_rule[p] = static_cast<u8>(outputs);
    if (inputs > 1) {
      for (int p = 0; p < inputs; ++p) row.extents[p] = "i";
    }
  }

  // One in, one out of the same size, in order: a slice continues what the last one wrote.
  template <class Kernel, class P>
  void sequence(const Operation& operation, std::initializer_list<DType> dtypes) {
    Entry& row = add<Kernel, P>(operation, dtypes, 1, {});
    row.elements_rule[0] = row.elements_rule[1] = static_cast<u8>(Needs::kSpace);
  }

  // (x, index) -> z over z's size; x is read anywhere, which the kernel checks.
  template <class Kernel, class P>
  void gather(const Operation& operation, std::initializer_list<DType> dtypes) {
    Entry& row = add<Kernel, P>(operation, dtypes, 2, {});
    row.elements_rule[1] = row.elements_rule[2] = static_cast<u8>(Needs::kSpace);
  }

  // (x, index) -> z over x's size; z is written anywhere, which the kernel checks.
  template <class Kernel, class P>
  void scatter(const Operation& operation, std::initializer_list<DType> dtypes) {
    Entry& row = add<Kernel, P>(operation, dtypes, 2, {});
    row.reduction = true;
    row.elements_rule[0] = row.elements_rule[1] = static_cast<u8>(Needs::kSpace);
  }

  // Arrays with a letter for each dimension, equal letters for equal extents, over the output's
  // shape.
  template <class Kernel, class P>
  void shaped(const Operation& operation, std::initializer_list<DType> dtypes,
              std::initializer_list<const char*> extents,
              std::initializer_list<DType> param_dtypes = {}) {
    const int inputs = static_cast<int>(dtypes.size()) - 1;
    Entry& row = add<Kernel, P>(operation, dtypes, inputs, param_dtypes);
    int p = 0;
    for (const char* const letters : extents) {
      row.extents[p] = letters;
      row.ndims[p++] = static_cast<u8>(std::string_view(letters).size());
    }
    row.indices = row.ndims[inputs];
    row.elements_rule[inputs] = static_cast<u8>(Needs::kSpace);
  }

  // As shaped, where an input and the output are one array's rows; one row alone is not sliced.
  template <class Kernel, class P>
  void rows(const Operation& operation, std::initializer_list<DType> dtypes,
            std::initializer_list<const char*> extents,
            std::initializer_list<DType> param_dtypes = {}) {
    shaped<Kernel, P>(operation, dtypes, extents, param_dtypes);
    Entry& row = rows_.back();
    row.elements_rule[0] = static_cast<u8>(Needs::kSpace);
    row.whole = row.indices == 1;
  }

  // One in, one out of the same size, over the whole range at once.
  template <class Kernel, class P>
  void whole(const Operation& operation, std::initializer_list<DType> dtypes) {
    sequence<Kernel, P>(operation, dtypes);
    rows_.back().whole = true;
  }

  std::vector<Entry> take() { return std::move(rows_); }

 private:
  template <class Kernel, class P>
  Entry& add(const Operation& operation, std::initializer_list<DType> dtypes, int inputs,
             std::initializer_list<DType> param_dtypes) {
    Entry row{};
    row.name = operation.name;
    row.formula = operation.formula;
    row.aliases = operation.aliases.data();
    row.alias_count = static_cast<int>(operation.aliases.size());
    row.fn = entry_point<Kernel>(isa_);
    row.code = kernel_type_text<Kernel>();
    row.plan = planner<Kernel>();
    row.arrays = static_cast<u8>(dtypes.size());
    row.inputs = static_cast<u8>(inputs);
    row.params = static_cast<u8>(operation.params.size());
    row.param_names = operation.params.data();
    row.indices = 1;
    int p = 0;
    for (const DType dtype : dtypes) {
      row.dtypes[p] = static_cast<u8>(dtype);
      row.same[p] = static_cast<u8>(P::kSame[p]);
      ++p;
    }
    p = 0;
    for (const DType dtype : param_dtypes) row.param_dtypes[p++] = static_cast<u8>(dtype);
    return rows_.emplace_back(row);
  }

  Isa isa_;
  std::vector<Entry> rows_;
};

// One file each; every one adds all rows of its operations.
void append_movement(Table& table);
void append_casts_from_integers(Table& table);
void append_casts_from_floats(Table& table);
void append_arithmetic(Table& table);
void append_fused(Table& table);
void append_reductions(Table& table);
void append_unary(Table& table);
void append_moments(Table& table);
void append_indexing(Table& table);
void append_matrix(Table& table);
void append_rows(Table& table);
void append_random(Table& table);

}  // namespace gpures::library
