// The native kernel library as a table: one row for each operation, dtypes and alias pattern.
#pragma once

#include <span>
#include <string_view>

#include "../../shared/dtype.hpp"
#include "../../shared/kernel_abi.hpp"
#include "../../shared/wide_plan.hpp"

namespace gpures::library {

inline constexpr int kMaxBindings = 8;

// What an array must hold, given n = the product of the space.
enum class Needs : u8 {
  kNothing,     // not checked here
  kSpace,       // at least n elements
  kOneElement,  // at least one
  kOnlyOne,     // one and no more
};

struct Entry {
  const char* name;            // "kernels/Add"
  const char* const* aliases;  // other names of the same operation
  int alias_count;
  gpures_kernel fn;
  u8 arrays;  // binding positions: inputs, then outputs
  u8 inputs;
  u8 dtypes[kMaxBindings];  // DType of each binding position
  u8 same[kMaxBindings];    // alias pattern: the first position that holds the same handle
  u8 params;
  const char* const* param_names;
  u8 param_dtypes[kMaxBindings];   // DType that the host converts a given scalar to before packing
  bool map;                        // every array needs n elements, each index touches only its own
  bool reduction;                  // space = the first input's size
  bool whole;                      // called once with begin = 0, end = n, never in slices
  u8 indices;                      // 1..3
  u8 elements_rule[kMaxBindings];  // Needs of each binding position
  u8 ndims[kMaxBindings];          // dimensions each array must have, 0 = any
  const char* extents[kMaxBindings];  // "ik": equal letters are equal extents; null: any
  const char* formula;                // "z = x + y": names the arrays in binding order, for people
  const char* code;                   // a text that ends in "Kernel = <the C++ type that runs>]"
  WidePlanner plan;                   // null: a device runs it in one launch
};

// Instruction sets that the library is built for; off x86-64 all of them mean kBaseline.
enum class Isa : u8 { kBaseline, kAvx2, kAvx512 };

// The best of this machine.
Isa native_isa();

// Rows for native_isa(), grouped by name. Lives as long as the process.
std::span<const Entry> entries();

// Rows for a given instruction set, so that tests can compare them all.
std::span<const Entry> entries(Isa isa);

// By name or alias; `dtypes`, `same` and `ndims` have `arrays` entries. nullptr if there is no such
// row. A kernel that reads shapes has one row for each number of dimensions; without `ndims` the
// first one is found.
const Entry* find(std::string_view name, const u8* dtypes, const u8* same, int arrays,
                  const u8* ndims = nullptr);

// Every row of an operation, by name or alias: for messages that say which dtypes it has.
std::span<const Entry> find_all(std::string_view name);

}  // namespace gpures::library
