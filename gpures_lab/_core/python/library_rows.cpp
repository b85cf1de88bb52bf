// The native library's table for Python.
#include <string_view>

#include "host/library/catalogue.hpp"
#include "python/engine_handle.hpp"
#include "shared/dtype.hpp"

namespace gpures::python {

namespace {

// A dict a row; `row` holds the fields of kernels/catalogue.py.
nb::list library_rows() {
  const auto names_of = [](const u8* codes, int count) {
    nb::list names;
    for (int n = 0; n < count; ++n) names.append(nb::str(kDTypes[codes[n]].name));
    return nb::tuple(names);
  };
  const auto numbers_of = [](const u8* values, int count) {
    nb::list numbers;
    for (int n = 0; n < count; ++n) numbers.append(int(values[n]));
    return nb::tuple(numbers);
  };
  const auto texts_of = [](const char* const* texts, int count) {
    nb::list list;
    for (int n = 0; n < count; ++n) list.append(nb::str(texts[n]));
    return nb::tuple(list);
  };
  nb::list rows;
  for (const library::Entry& entry : library::entries()) {
    nb::dict row;
    row["name"] = nb::str(entry.name);
    row["aliases"] = texts_of(entry.aliases, entry.alias_count);
    row["formula"] = nb::str(entry.formula);
    row["dtypes"] = names_of(entry.dtypes, entry.arrays);
    row["same"] = numbers_of(entry.same, entry.arrays);
    row["ndims"] = numbers_of(entry.ndims, entry.arrays);
    nb::list extents;
    for (int p = 0; p < entry.arrays; ++p) {
      extents.append(nb::str(entry.extents[p] ? entry.extents[p] : ""));
    }
    row["extents"] = nb::tuple(extents);
    row["inputs"] = int(entry.inputs);
    row["params"] = texts_of(entry.param_names, entry.params);
    row["param_dtypes"] = names_of(entry.param_dtypes, entry.params);
    row["is_map"] = entry.map;
    row["is_reduction"] = entry.reduction;
    row["whole"] = entry.whole;
    row["indices"] = int(entry.indices);
    nb::dict native;
    native["row"] = row;
    native["address"] = u64(entry.fn);
    const std::string_view code = entry.code;
    const std::string_view mark = "Kernel = ";
    const size_t type = code.find(mark) + mark.size();
    native["type"] = nb::str(code.data() + type, code.size() - type - 1);
    native["plan"] = u64(entry.plan);
    native["rules"] = numbers_of(entry.elements_rule, entry.arrays);
    rows.append(native);
  }
  return rows;
}

}  // namespace

void bind_library(nb::module_& module) { module.def("library_rows", &library_rows); }

}  // namespace gpures::python
