// A call's scalars: what kind they are, which tells a kernel's versions apart, and the words in
// which they travel (shared/kernel_abi.hpp).
#pragma once

#include "python/objects.hpp"

namespace gpures::python {

// Parameter codes of a signature key: Python scalars are weak, NumPy scalars keep their dtype.
enum ParamCode : u8 { kInt = 1, kFloat = 2, kBool = 3, kComplex = 4, kScalar = 16 };

// 0: no scalar that a kernel takes.
u8 param_code(PyObject* value);
u32 code_words(u8 code);
// False: an exception is set.
bool pack_plain(PyObject* value, u8 code, u64* words);
// A library kernel's parameter in the dtype that the arrays ask for.
bool pack_as(PyObject* value, u8 code, u64* words);

}  // namespace gpures::python
