// C doors to the catalogue for ctypes, so that the library is tested without the Python module.
#include "../../gpures_lab/_core/host/library/catalogue.hpp"

#define EXPORT extern "C" __attribute__((visibility("default")))

using gpures::library::Entry;
using gpures::library::Isa;

EXPORT int library_native_isa() { return static_cast<int>(gpures::library::native_isa()); }

EXPORT int library_rows(int isa, const Entry** rows) {
  const auto all = gpures::library::entries(static_cast<Isa>(isa));
  *rows = all.data();
  return static_cast<int>(all.size());
}

EXPORT const Entry* library_find(const char* name, const unsigned char* dtypes,
                                 const unsigned char* same, int arrays,
                                 const unsigned char* ndims) {
  return gpures::library::find(name, dtypes, same, arrays, ndims);
}

EXPORT const char* dtype_name(int code) { return gpures::kDTypes[code].name; }
EXPORT int dtype_itemsize(int code) { return gpures::kDTypes[code].itemsize; }
EXPORT int dtype_count() { return gpures::kDTypeCount; }
EXPORT int dtype_itemsize_by_function(int code) {
  return gpures::itemsize(static_cast<gpures::DType>(code));
}
EXPORT int entry_size() { return sizeof(Entry); }
