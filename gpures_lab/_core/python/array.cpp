// ResidentArray: a handle as Python holds it. Releases its allocation when the last reference goes.
#include <cerrno>
#include <cstdlib>

#include "python/objects.hpp"
#include "structmember.h"

namespace gpures::python {

PyTypeObject* array_type = nullptr;

namespace {

ResidentArrayObject* as(PyObject* self) { return reinterpret_cast<ResidentArrayObject*>(self); }

int traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(reinterpret_cast<PyObject*>(as(object)->grain));
  Py_VISIT(Py_TYPE(object));
  return 0;
}

void dealloc(PyObject* object) {
  ResidentArrayObject* self = as(object);
  PyObject_GC_UnTrack(object);
  if (self->weakrefs) PyObject_ClearWeakRefs(object);
  if (self->live) release_quietly(self);
  Py_XDECREF(self->shape);
  Py_XDECREF(self->name);
  Py_XDECREF(self->dtype);
  Py_XDECREF(self->grain);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_GC_Del(object);
  Py_DECREF(type);
}

PyObject* get_shape(PyObject* object, void*) {
  ResidentArrayObject* self = as(object);
  if (!self->shape) self->shape = Py_BuildValue("(L)", self->size);
  return Py_XNewRef(self->shape);
}
PyObject* get_dtype(PyObject* object, void*) {
  return Py_NewRef(reinterpret_cast<PyObject*>(as(object)->dtype));
}
PyObject* get_nbytes(PyObject* object, void*) {
  return PyLong_FromUnsignedLongLong(as(object)->nbytes);
}
PyObject* get_size(PyObject* object, void*) { return PyLong_FromLongLong(as(object)->size); }
PyObject* get_ndim(PyObject* object, void*) { return PyLong_FromLong(as(object)->ndim); }
PyObject* get_name(PyObject* object, void*) {
  ResidentArrayObject* self = as(object);
  if (!self->name) self->name = PyUnicode_FromFormat("a%llu", self->ordinal);
  return Py_XNewRef(self->name);
}
int set_name(PyObject* object, PyObject* value, void*) {
  if (!value || !PyUnicode_Check(value)) {
    PyErr_SetString(PyExc_TypeError, "name must be a str");
    return -1;
  }
  Py_XSETREF(as(object)->name, Py_NewRef(value));
  // Only a grain that owns it makes a cycle of it; others the collector need not look at.
  if (!PyObject_GC_IsTracked(object)) PyObject_GC_Track(object);
  // A given name that looks like an automatic one: later automatic ones start behind it.
  const char* text = PyUnicode_AsUTF8(value);
  if (!text) return -1;
  if (text[0] != 'a' || text[1] < '0' || text[1] > '9') return 0;
  char* end;
  errno = 0;
  const unsigned long long number = std::strtoull(text + 1, &end, 10);
  u64& next = as(object)->grain->ordinals;
  if (*end == 0 && errno == 0 && number < ~0ull) next = std::max<u64>(next, number + 1);
  return 0;
}
PyObject* get_grain(PyObject* object, void*) {
  return Py_NewRef(reinterpret_cast<PyObject*>(as(object)->grain));
}
PyObject* get_released(PyObject* object, void*) { return PyBool_FromLong(!as(object)->live); }
PyObject* get_memory_type(PyObject* object, void*) {
  return PyUnicode_FromString(as(object)->arena == 0 ? "device" : "pinned");
}
PyObject* get_handle(PyObject* object, void*) {
  return PyLong_FromUnsignedLongLong(as(object)->handle);
}
PyObject* to_int(PyObject* object) { return get_handle(object, nullptr); }

PyObject* read(PyObject* object, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  static const char* const keywords[] = {"count", "offset", "out"};
  PyObject* slots[3];
  if (!parse("read", args, count, names, keywords, 3, 0, 0, slots)) return nullptr;
  ResidentArrayObject* self = as(object);
  const Busy busy(self->grain);
  if (!check_array(self->grain, object)) return nullptr;
  return grain_read(self->grain, self, slots[0], slots[1], slots[2]);
}

PyObject* write(PyObject* object, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  static const char* const keywords[] = {"data", "offset"};
  PyObject* slots[2];
  if (!parse("write", args, count, names, keywords, 2, 1, 1, slots)) return nullptr;
  ResidentArrayObject* self = as(object);
  const Busy busy(self->grain);
  if (!check_array(self->grain, object)) return nullptr;
  return grain_write(self->grain, self, slots[0], slots[1]);
}

PyObject* release(PyObject* object, PyObject*) {
  ResidentArrayObject* self = as(object);
  const Busy busy(self->grain);
  if (!check_array(self->grain, object)) return nullptr;
  return grain_release(self->grain, self);
}

// np.asarray(handle): an ordered read, a copy.
PyObject* array_protocol(PyObject* object, PyObject* args, PyObject* keywords) {
  PyObject* function = hook("as_ndarray");
  if (!function) return nullptr;
  PyObject* all = PyTuple_New(1 + PyTuple_GET_SIZE(args));
  PyTuple_SET_ITEM(all, 0, Py_NewRef(object));
  for (Py_ssize_t n = 0; n < PyTuple_GET_SIZE(args); ++n) {
    PyTuple_SET_ITEM(all, n + 1, Py_NewRef(PyTuple_GET_ITEM(args, n)));
  }
  PyObject* result = PyObject_Call(function, all, keywords);
  Py_DECREF(all);
  Py_DECREF(function);
  return result;
}

PyObject* repr(PyObject* object) {
  PyObject* function = hook("array_repr");
  if (!function) return nullptr;
  PyObject* text = PyObject_CallOneArg(function, object);
  Py_DECREF(function);
  return text;
}

// What a NumPy user tries first gets the cure, where Python's own words would name none.
PyObject* no_arithmetic(PyObject* left, PyObject* right) {
  return raise_hook("no_arithmetic", "(O)", PyObject_TypeCheck(left, array_type) ? left : right);
}
PyObject* no_power(PyObject* left, PyObject* right, PyObject*) {
  return no_arithmetic(left, right);
}
PyObject* no_sign(PyObject* object) { return no_arithmetic(object, object); }
PyObject* no_subscript(PyObject* object, PyObject*) {
  return raise_hook("no_subscript", "(O)", object);
}
int no_assignment(PyObject* object, PyObject*, PyObject*) {
  no_subscript(object, nullptr);
  return -1;
}

PyObject* enter(PyObject* object, PyObject*) { return Py_NewRef(object); }
PyObject* leave(PyObject* object, PyObject*) {
  if (as(object)->live) {
    const Busy busy(as(object)->grain);
    if (!check_open(as(object)->grain)) return nullptr;
    PyObject* done = grain_release(as(object)->grain, as(object));
    if (!done) return nullptr;
    Py_DECREF(done);
  }
  Py_RETURN_NONE;
}

#define GPURES_FAST(function) reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function))

PyMethodDef methods[] = {
    {"read", GPURES_FAST(read), METH_FASTCALL | METH_KEYWORDS,
     "read($self, *, count=None, offset=None, out=None)\n--\n\nAs Grain.read(self, …)."},
    {"write", GPURES_FAST(write), METH_FASTCALL | METH_KEYWORDS,
     "write($self, data, *, offset=None)\n--\n\nAs Grain.write(self, data, …)."},
    {"release", release, METH_NOARGS, "release($self, /)\n--\n\nAs Grain.release(self)."},
    {"__array__", GPURES_FAST(array_protocol), METH_VARARGS | METH_KEYWORDS, nullptr},
    {"__enter__", enter, METH_NOARGS, nullptr},
    {"__exit__", leave, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef getset[] = {
    {"shape", get_shape, nullptr, "Extents, C order.", nullptr},
    {"dtype", get_dtype, nullptr, "NumPy dtype.", nullptr},
    {"nbytes", get_nbytes, nullptr, "Bytes of data, without the block's slack.", nullptr},
    {"size", get_size, nullptr, "Elements.", nullptr},
    {"ndim", get_ndim, nullptr, "Number of dimensions.", nullptr},
    {"name", get_name, set_name, "Given to allocate(), else a0, a1, …", nullptr},
    {"grain", get_grain, nullptr, "The owner.", nullptr},
    {"released", get_released, nullptr, "Whether the allocation is gone.", nullptr},
    {"memory_type", get_memory_type, nullptr, "'device' or 'pinned'.", nullptr},
    {"_handle", get_handle, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(ResidentArrayObject, weakrefs), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

PyType_Slot slots[] = {{Py_tp_doc, const_cast<char*>("A handle to memory that stays on the device: "
                                                     "shape, dtype, and an id with a generation.")},
                       {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
                       {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                       {Py_tp_methods, methods},
                       {Py_tp_getset, getset},
                       {Py_tp_members, members},
                       {Py_tp_repr, reinterpret_cast<void*>(repr)},
                       {Py_nb_int, reinterpret_cast<void*>(to_int)},
                       {Py_nb_add, reinterpret_cast<void*>(no_arithmetic)},
                       {Py_nb_subtract, reinterpret_cast<void*>(no_arithmetic)},
                       {Py_nb_multiply, reinterpret_cast<void*>(no_arithmetic)},
                       {Py_nb_true_divide, reinterpret_cast<void*>(no_arithmetic)},
                       {Py_nb_floor_divide, reinterpret_cast<void*>(no_arithmetic)},
                       {Py_nb_remainder, reinterpret_cast<void*>(no_arithmetic)},
                       {Py_nb_matrix_multiply, reinterpret_cast<void*>(no_arithmetic)},
                       {Py_nb_power, reinterpret_cast<void*>(no_power)},
                       {Py_nb_negative, reinterpret_cast<void*>(no_sign)},
                       {Py_nb_absolute, reinterpret_cast<void*>(no_sign)},
                       {Py_mp_subscript, reinterpret_cast<void*>(no_subscript)},
                       {Py_mp_ass_subscript, reinterpret_cast<void*>(no_assignment)},
                       {0, nullptr}};

PyType_Spec spec = {"gpures_lab.ResidentArray", sizeof(ResidentArrayObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_HAVE_GC,
                    slots};

}  // namespace

bool add_array_type(PyObject* module) {
  array_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return array_type && PyModule_AddObjectRef(module, "ResidentArray",
                                             reinterpret_cast<PyObject*>(array_type)) == 0;
}

}  // namespace gpures::python
