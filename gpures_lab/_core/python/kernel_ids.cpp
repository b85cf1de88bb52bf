// What is known of every kernel version of the process, by its id. Ids are never reused, and a row
// of the trace or an error may outlive its kernel: names stay for the process's life. Under the
// GIL.
#include "python/objects.hpp"

namespace gpures::python {

namespace {

KernelTotals totals;

std::vector<PyObject*>& used_kernels() {  // borrowed; forget_kernel() removes
  static std::vector<PyObject*> used;
  return used;
}

std::vector<PyObject*>& names_by_id() {
  static std::vector<PyObject*> names;
  return names;
}

std::vector<PyObject*>& arrays_by_id() {
  static std::vector<PyObject*> arrays;
  return arrays;
}

void set(std::vector<PyObject*>& table, u32 id, PyObject* value) {
  if (table.size() <= id) table.resize(id + 1);
  table[id] = Py_XNewRef(value);
}

}  // namespace

KernelTotals& kernel_totals() { return totals; }

void note_version(PyObject* kernel, bool first, u32 id, PyObject* name, PyObject* arrays) {
  if (first) used_kernels().push_back(kernel);
  ++totals.versions;
  set(names_by_id(), id, name);
  set(arrays_by_id(), id, arrays);
}

void forget_kernel(PyObject* kernel, u64 versions) {
  totals.versions -= versions;
  std::erase(used_kernels(), kernel);
}

PyObject* kernels_used() {
  PyObject* list = PyList_New(0);
  for (PyObject* kernel : used_kernels()) PyList_Append(list, kernel);
  return list;
}

PyObject* kernel_arrays(u32 id) {
  if (id >= arrays_by_id().size() || !arrays_by_id()[id]) return PyTuple_New(0);
  return Py_NewRef(arrays_by_id()[id]);
}

PyObject* kernel_names() {
  PyObject* found = PyDict_New();
  for (size_t id = 0; id < names_by_id().size(); ++id) {
    if (!names_by_id()[id]) continue;
    PyObject* key = PyLong_FromSize_t(id);
    PyDict_SetItem(found, key, names_by_id()[id]);
    Py_DECREF(key);
  }
  return found;
}

}  // namespace gpures::python
