// Argument parsing and hooks.
#include <cstdarg>

#include "python/objects.hpp"

namespace gpures::python {

bool parse(const char* method, PyObject* const* args, Py_ssize_t count, PyObject* names,
           const char* const* keywords, int keyword_count, int required, int positional,
           PyObject** slots) {
  if (count > positional) {
    PyErr_Format(PyExc_TypeError, "%s() takes at most %d positional arguments (%zd given)", method,
                 positional, count);
    return false;
  }
  for (int n = 0; n < keyword_count; ++n) slots[n] = n < count ? args[n] : nullptr;
  const Py_ssize_t named = names ? PyTuple_GET_SIZE(names) : 0;
  for (Py_ssize_t k = 0; k < named; ++k) {
    PyObject* name = PyTuple_GET_ITEM(names, k);
    int found = -1;
    for (int n = 0; n < keyword_count && found < 0; ++n) {
      if (PyUnicode_CompareWithASCIIString(name, keywords[n]) == 0) found = n;
    }
    if (found < 0) {
      PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", method, name);
      return false;
    }
    if (slots[found]) {
      PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'", method, name);
      return false;
    }
    slots[found] = args[count + k];
  }
  for (int n = 0; n < required; ++n) {
    if (slots[n]) continue;
    PyErr_Format(PyExc_TypeError, "%s() missing required argument '%s'", method, keywords[n]);
    return false;
  }
  return true;
}

namespace {
PyObject* hooks_module = nullptr;
}

PyObject* hook(const char* name) {
  if (!hooks_module) {
    hooks_module = PyImport_ImportModule("gpures_lab.grain.hooks");
    if (!hooks_module) return nullptr;
  }
  return PyObject_GetAttrString(hooks_module, name);
}

int flag_of(const char* name, PyObject* object, bool otherwise) {
  if (!object || object == Py_None) return otherwise;
  if (PyBool_Check(object) || PyArray_IsScalar(object, Bool)) return PyObject_IsTrue(object);
  raise_hook("bad_flag", "(sO)", name, object);
  return -1;
}

PyObject* raise_hook(const char* name, const char* format, ...) {
  PyObject* function = hook(name);
  if (!function) return nullptr;
  va_list list;
  va_start(list, format);
  PyObject* arguments = Py_VaBuildValue(format, list);
  va_end(list);
  PyObject* error = arguments ? PyObject_CallObject(function, arguments) : nullptr;
  Py_XDECREF(arguments);
  Py_DECREF(function);
  if (error) {
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error)), error);
    Py_DECREF(error);
  }
  return nullptr;
}

}  // namespace gpures::python
