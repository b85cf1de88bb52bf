#include "python/kernel_params.hpp"

#include <cstring>

namespace gpures::python {

u8 param_code(PyObject* value) {
  if (PyFloat_CheckExact(value)) return kFloat;
  if (PyLong_CheckExact(value)) return kInt;
  if (PyBool_Check(value)) return kBool;
  if (PyComplex_CheckExact(value)) return kComplex;
  if (PyArray_IsScalar(value, Generic)) {
    PyArray_Descr* dtype = PyArray_DescrFromScalar(value);
    if (!dtype) {
      PyErr_Clear();
      return 0;
    }
    const u8 code = dtype_code(dtype);
    Py_DECREF(dtype);
    return code == 0xff ? 0 : u8(kScalar + code);
  }
  return 0;
}

u32 code_words(u8 code) {
  return code == kComplex || code == kScalar + 12 ? 2 : 1;  // 12: complex128 (shared/dtype.hpp)
}

bool pack_plain(PyObject* value, u8 code, u64* words) {
  words[0] = 0;
  switch (code) {
    case kFloat: {
      const double number = PyFloat_AS_DOUBLE(value);
      std::memcpy(words, &number, 8);
      return true;
    }
    case kInt: {
      const long long number = PyLong_AsLongLong(value);
      if (number == -1 && PyErr_Occurred()) return false;
      std::memcpy(words, &number, 8);
      return true;
    }
    case kBool:
      words[0] = value == Py_True;
      return true;
    case kComplex: {
      const Py_complex number = PyComplex_AsCComplex(value);
      std::memcpy(words, &number, 16);
      return true;
    }
    default:
      PyArray_ScalarAsCtype(value, words);
      return true;
  }
}

// Rare kinds go through NumPy.
bool pack_as(PyObject* value, u8 code, u64* words) {
  words[0] = 0;
  if (code == 9 && PyFloat_CheckExact(value)) {  // float32
    const float number = float(PyFloat_AS_DOUBLE(value));
    std::memcpy(words, &number, 4);
    return true;
  }
  if (code == 10 && PyFloat_CheckExact(value)) return pack_plain(value, kFloat, words);
  PyObject* function = hook("pack_param");
  if (!function) return false;
  PyObject* bytes = PyObject_CallFunction(function, "Oi", value, int(code));
  Py_DECREF(function);
  if (!bytes) return false;
  words[1 - (code_words(u8(kScalar + code)) == 1)] = 0;
  std::memcpy(words, PyBytes_AS_STRING(bytes), size_t(PyBytes_GET_SIZE(bytes)));
  Py_DECREF(bytes);
  return true;
}

}  // namespace gpures::python
