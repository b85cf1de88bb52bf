// The table itself: built once per instruction set, looked up by name, then by dtypes and pattern.
#include "catalogue.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>
#include <vector>

#include "table.hpp"

namespace gpures::library {
namespace {

using Group = std::span<const Entry>;

struct Catalogue {
  explicit Catalogue(Isa isa);

  std::vector<Entry> rows;
  std::unordered_map<std::string_view, Group> groups;
};

Catalogue::Catalogue(Isa isa) {
  Table table(isa);
  append_movement(table);
  append_casts_from_integers(table);
  append_casts_from_floats(table);
  append_arithmetic(table);
  append_fused(table);
  append_reductions(table);
  append_unary(table);
  append_moments(table);
  append_indexing(table);
  append_matrix(table);
  append_rows(table);
  append_random(table);
  rows = table.take();
  const auto by_name = [](const Entry& a, const Entry& b) {
    return std::string_view(a.name) < std::string_view(b.name);
  };
  std::stable_sort(rows.begin(), rows.end(), by_name);
  for (auto first = rows.begin(); first != rows.end();) {
    const auto last = std::upper_bound(first, rows.end(), *first, by_name);
    const Group group(first, last);
    groups.emplace(first->name, group);
    for (int a = 0; a < first->alias_count; ++a) groups.emplace(first->aliases[a], group);
    first = last;
  }
}

const Catalogue& catalogue(Isa isa) {
  switch (isa) {
    case Isa::kAvx512: {
      static const Catalogue avx512(Isa::kAvx512);
      return avx512;
    }
    case Isa::kAvx2: {
      static const Catalogue avx2(Isa::kAvx2);
      return avx2;
    }
    default: {
      static const Catalogue baseline(Isa::kBaseline);
      return baseline;
    }
  }
}

}  // namespace

Isa native_isa() {
#if GPURES_X86_VARIANTS
  __builtin_cpu_init();
  if (__builtin_cpu_supports("x86-64-v4")) return Isa::kAvx512;
  if (__builtin_cpu_supports("x86-64-v3")) return Isa::kAvx2;
#endif
  return Isa::kBaseline;
}

std::span<const Entry> entries(Isa isa) { return catalogue(isa).rows; }

std::span<const Entry> entries() { return entries(native_isa()); }

std::span<const Entry> find_all(std::string_view name) {
  static const Catalogue& native = catalogue(native_isa());
  const auto group = native.groups.find(name);
  return group == native.groups.end() ? Group{} : group->second;
}

const Entry* find(std::string_view name, const u8* dtypes, const u8* same, int arrays,
                  const u8* ndims) {
  const auto fits = [&](const Entry& row) {
    for (int p = 0; ndims != nullptr && p < arrays; ++p) {
      if (row.ndims[p] != 0 && row.ndims[p] != ndims[p]) return false;
    }
    return true;
  };
  for (const Entry& row : find_all(name)) {
    if (row.arrays == arrays && std::equal(dtypes, dtypes + arrays, row.dtypes) &&
        std::equal(same, same + arrays, row.same) && fits(row)) {
      return &row;
    }
  }
  return nullptr;
}

}  // namespace gpures::library
