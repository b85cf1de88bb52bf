// KernelBase: what the ring needs of a kernel; from a call's types to a compiled version.
#include "host/kernel_registry.hpp"
#include "python/kernel_params.hpp"
#include "structmember.h"

namespace gpures::python {

PyTypeObject* kernel_type = nullptr;

namespace {

KernelObject* as(PyObject* self) { return reinterpret_cast<KernelObject*>(self); }

Variant* build_variant(PyObject* kernel, PyObject* spec, const std::vector<u8>& key,
                       const u8* param_codes, u32 param_count, bool& found) {
  unsigned long long address;
  PyObject *owner, *order, *item_bytes, *rules, *ndims, *writes, *packs, *equal, *called, *followed;
  int indices, flags, at_hand, adds_up;
  if (!PyArg_ParseTuple(spec, "KOO!iiO!O!O!O!O!O!O!iO!p", &address, &owner, &PyTuple_Type, &order,
                        &indices, &flags, &PyTuple_Type, &item_bytes, &PyTuple_Type, &rules,
                        &PyTuple_Type, &ndims, &PyTuple_Type, &writes, &PyTuple_Type, &packs,
                        &PyTuple_Type, &equal, &PyTuple_Type, &called, &adds_up, &PyTuple_Type,
                        &followed, &at_hand)) {
    return nullptr;
  }
  auto* variant = new Variant{};
  variant->key = key;
  KernelEntry& entry = variant->entry;
  entry.code = address;
  entry.arrays = u8(PyTuple_GET_SIZE(order));
  entry.indices = u8(indices);
  entry.flags = u8(flags);
  const auto number = [](PyObject* tuple, Py_ssize_t n) {
    return u8(PyLong_AsLong(PyTuple_GET_ITEM(tuple, n)));
  };
  for (u32 a = 0; a < entry.arrays; ++a) {
    variant->order[a] = number(order, a);
    entry.array[a] = {number(item_bytes, a), number(rules, a), number(ndims, a), number(writes, a)};
    if (entry.array[a].ndim > 1) entry.shape_words += entry.array[a].ndim;
  }
  for (u32 p = 0; p < param_count; ++p) {
    const u8 pack = PyTuple_GET_SIZE(packs) ? number(packs, p) : u8(0);
    variant->packs.push_back(pack);
    entry.param_words =
        u8(entry.param_words + code_words(pack ? u8(kScalar + pack - 1) : param_codes[p]));
  }
  for (Py_ssize_t n = 0; n + 3 < PyTuple_GET_SIZE(equal); n += 4) {
    variant->equal.push_back(
        {number(equal, n), number(equal, n + 1), number(equal, n + 2), number(equal, n + 3)});
  }
  variant->adds_up = adds_up;
  for (Py_ssize_t n = 0; n + 2 < PyTuple_GET_SIZE(followed); n += 3) {
    variant->followed.push_back(
        {number(followed, n), number(followed, n + 1), number(followed, n + 2)});
  }
  if (PyErr_Occurred()) {
    delete variant;
    return nullptr;
  }
  found = at_hand;
  variant->owner = Py_NewRef(owner);
  variant->id = KernelRegistry::get().add(entry);
  note_version(kernel, as(kernel)->variants->empty(), variant->id, as(kernel)->name, called);
  return variant;
}

}  // namespace

KernelObject* kernel_of(PyObject* object) {
  if (PyObject_TypeCheck(object, kernel_type)) return as(object);
  static PyObject* by_name = nullptr;  // the library: dict of name → kernel
  if (!by_name && !(by_name = hook("library"))) return nullptr;
  PyObject* found = PyUnicode_Check(object) ? PyDict_GetItemWithError(by_name, object) : nullptr;
  if (found && PyObject_TypeCheck(found, kernel_type)) return as(found);
  if (!PyErr_Occurred()) raise_hook("unknown_kernel", "(O)", object);
  return nullptr;
}

// Asks the kernel once for each split of inputs and outputs; null with its error set.
static const Scalars* scalars_of(KernelObject* kernel, const Call& call) {
  for (const Scalars& known : *kernel->scalars) {
    if (known.inputs == call.inputs && known.arrays == call.count) return &known;
  }
  PyObject* both = PyObject_CallMethod(reinterpret_cast<PyObject*>(kernel), "_scalars", "II",
                                       call.inputs, call.count - call.inputs);
  if (!both) return nullptr;
  PyObject *names, *defaults;
  if (!PyArg_ParseTuple(both, "O!O!", &PyTuple_Type, &names, &PyDict_Type, &defaults)) {
    Py_DECREF(both);
    return nullptr;
  }
  kernel->scalars->push_back({call.inputs, call.count, Py_NewRef(names), Py_NewRef(defaults)});
  Py_DECREF(both);
  return &kernel->scalars->back();
}

PyObject* param_names(KernelObject* kernel, const Call& call) {
  const Scalars* scalars = scalars_of(kernel, call);
  return scalars ? scalars->names : nullptr;
}

PyObject* params_of(KernelObject* kernel, const Call& call, const Variant& variant,
                    PyObject* params) {
  const Scalars* scalars = scalars_of(kernel, call);
  if (!scalars) return nullptr;
  const Py_ssize_t count = PyTuple_GET_SIZE(scalars->names);
  PyObject* result = PyTuple_New(count);
  long word = 0;
  for (Py_ssize_t p = 0; result && p < count; ++p) {
    PyObject* name = PyTuple_GET_ITEM(scalars->names, p);
    PyObject* value = params && params != Py_None ? PyDict_GetItemWithError(params, name) : nullptr;
    if (!value) value = PyDict_GetItemWithError(scalars->defaults, name);
    const u8 pack = variant.packs[size_t(p)];
    PyObject* item = value ? Py_BuildValue("OliO", name, word, int(pack), value) : nullptr;
    if (!item) {
      Py_CLEAR(result);
      break;
    }
    PyTuple_SET_ITEM(result, p, item);
    word += long(code_words(pack ? u8(kScalar + pack - 1) : param_code(value)));
  }
  return result;
}

// A device's image holds the kernels that its engine has used: this one is linked in at its first
// use there. False: an exception is set.
static bool adopt(PyObject* kernel, const Call& call, const Variant& variant,
                  PyObject* const* values, Py_ssize_t count, bool check) {
  const GrainObject* grain = call.arrays[0]->grain;
  if (grain->engine->has_kernel(variant.id)) return true;
  PyObject* function = hook("adopt_kernel");
  if (!function) return false;
  PyObject* arrays = PyTuple_New(call.count);
  PyObject* same = PyTuple_New(call.count);
  PyObject* given = PyTuple_New(count);
  for (u32 a = 0; a < call.count; ++a) {
    PyTuple_SET_ITEM(arrays, a, Py_NewRef(reinterpret_cast<PyObject*>(call.arrays[a])));
    PyTuple_SET_ITEM(same, a, PyLong_FromLong(call.same[a]));
  }
  for (Py_ssize_t p = 0; p < count; ++p) PyTuple_SET_ITEM(given, p, Py_NewRef(values[p]));
  Engine* const engine = grain->engine;
  const u32 id = variant.id;
  PyObject* done =
      PyObject_CallFunction(function, "OOIINNNO", grain->manager, kernel, id, call.inputs, arrays,
                            same, given, check ? Py_True : Py_False);
  Py_DECREF(function);
  if (!done) return false;
  Py_DECREF(done);
  engine->note_kernel(id);
  return true;
}

Variant* find_variant(KernelObject* kernel, Call& call, PyObject* params, PyObject* checked,
                      bool& cache_hit) {
  static thread_local std::vector<u8> key;
  key.clear();
  const int check = flag_of("checked", checked, kernel->checked);
  if (check < 0) return nullptr;
  key.push_back(u8(call.count));
  key.push_back(u8(call.inputs));
  // A version for a device has no machine code of the host's, so it is another version.
  const bool device = call.count != 0 && call.arrays[0]->grain->engine->on_device();
  key.push_back(u8(check | device << 1));
  for (u32 a = 0; a < call.count; ++a) {
    call.same[a] = u8(a);
    for (u32 b = 0; b < a; ++b) {
      if (call.arrays[b] == call.arrays[a]) {
        call.same[a] = u8(b);
        break;
      }
    }
    key.push_back(call.arrays[a]->code);
    key.push_back(call.arrays[a]->ndim);
    key.push_back(call.same[a]);
  }
  const Scalars* scalars = scalars_of(kernel, call);
  if (!scalars) return nullptr;
  auto* kernel_object = reinterpret_cast<PyObject*>(kernel);
  const bool given = params && params != Py_None;
  if (given && !PyDict_Check(params)) {
    raise_hook("bad_params", "(OO)", kernel_object, params);
    return nullptr;
  }
  const Py_ssize_t wanted = PyTuple_GET_SIZE(scalars->names);
  Py_ssize_t unused = given ? PyDict_GET_SIZE(params) : 0;
  PyObject* values[kMaxParamWords];
  u8 codes[kMaxParamWords];
  if (wanted > kMaxParamWords) {
    raise_hook("too_many", "(si)", "parameters", int(kMaxParamWords));
    return nullptr;
  }
  for (Py_ssize_t p = 0; p < wanted; ++p) {
    PyObject* name = PyTuple_GET_ITEM(scalars->names, p);
    values[p] = given ? PyDict_GetItemWithError(params, name) : nullptr;
    if (values[p]) {
      --unused;
    } else if (!PyErr_Occurred()) {
      values[p] = PyDict_GetItemWithError(scalars->defaults, name);
    }
    codes[p] = values[p] ? param_code(values[p]) : u8(0);
    if (PyErr_Occurred()) return nullptr;
    if (values[p] && codes[p] == 0) {
      raise_hook("bad_param", "(OOO)", kernel_object, name, values[p]);
      return nullptr;
    }
    if (!values[p]) {
      unused = 1;
      break;
    }
    if (!kernel->fixed_params) key.push_back(codes[p]);
  }
  if (unused != 0) {
    raise_hook("wrong_arguments", "(OIIO)", kernel_object, call.inputs, call.count - call.inputs,
               given ? params : Py_None);
    return nullptr;
  }
  Variant* variant = nullptr;
  for (Variant* known : *kernel->variants) {
    if (known->key == key) {
      variant = known;
      break;
    }
  }
  cache_hit = variant != nullptr;
  if (!variant) {
    const std::vector<u8> own_key = key;  // compiling may run other calls on this thread
    PyObject* arrays = PyTuple_New(call.count);
    PyObject* same = PyTuple_New(call.count);
    PyObject* kinds = PyTuple_New(wanted);
    for (u32 a = 0; a < call.count; ++a) {
      PyTuple_SET_ITEM(arrays, a, Py_NewRef(reinterpret_cast<PyObject*>(call.arrays[a])));
      PyTuple_SET_ITEM(same, a, PyLong_FromLong(call.same[a]));
    }
    for (Py_ssize_t p = 0; p < wanted; ++p) PyTuple_SET_ITEM(kinds, p, Py_NewRef(values[p]));
    PyObject* spec =
        PyObject_CallMethod(kernel_object, "_specialize", "INNNOO", call.inputs, arrays, same,
                            kinds, check ? Py_True : Py_False, device ? Py_True : Py_False);
    if (!spec) return nullptr;
    variant = build_variant(kernel_object, spec, own_key, codes, u32(wanted), cache_hit);
    Py_DECREF(spec);
    if (!variant) return nullptr;
    kernel->variants->push_back(variant);
  }
  ++(cache_hit ? kernel->hits : kernel->misses);
  ++(cache_hit ? kernel_totals().hits : kernel_totals().misses);
  if (device && !adopt(kernel_object, call, *variant, values, wanted, check)) return nullptr;
  call.param_words = 0;
  for (Py_ssize_t p = 0; p < wanted; ++p) {
    const u8 pack = variant->packs[size_t(p)];
    u64* words = call.words + call.param_words;
    if (call.param_words + 2 > kMaxParamWords) {
      raise_hook("too_many", "(si)", "words of parameters", int(kMaxParamWords));
      return nullptr;
    }
    if (!(pack ? pack_as(values[p], u8(pack - 1), words)
               : pack_plain(values[p], codes[p], words))) {
      if (PyErr_ExceptionMatches(PyExc_OverflowError)) {  // an int beyond int64
        PyErr_Clear();
        raise_hook("bad_param", "(OOO)", kernel_object, PyTuple_GET_ITEM(scalars->names, p),
                   values[p]);
      }
      return nullptr;
    }
    call.param_words += code_words(pack ? u8(kScalar + pack - 1) : codes[p]);
  }
  return variant;
}

namespace {

PyObject* make(PyTypeObject* type, PyObject*, PyObject*) {
  PyObject* object = type->tp_alloc(type, 0);
  if (!object) return nullptr;
  as(object)->variants = new std::vector<Variant*>;
  as(object)->scalars = new std::vector<Scalars>;
  as(object)->checked = true;
  return object;
}

void forget(KernelObject* self) {
  // A message under way may still name the id, so table entry and code stay for the process's
  // life; `owner` keeps its reference.
  for (Variant* variant : *self->variants) delete variant;
  self->variants->clear();
}

void dealloc(PyObject* object) {
  KernelObject* self = as(object);
  if (self->weakrefs) PyObject_ClearWeakRefs(object);
  PyTypeObject* type = Py_TYPE(object);
  forget_kernel(object, self->variants->size());
  forget(self);
  delete self->variants;
  for (const Scalars& known : *self->scalars) {
    Py_DECREF(known.names);
    Py_DECREF(known.defaults);
  }
  delete self->scalars;
  Py_XDECREF(self->name);
  type->tp_free(object);
  Py_DECREF(type);
}

PyObject* bind(PyObject* object, PyObject* args) {
  KernelObject* self = as(object);
  PyObject* name;
  int checked, fixed;
  if (!PyArg_ParseTuple(args, "Upp", &name, &checked, &fixed)) return nullptr;
  Py_XSETREF(self->name, Py_NewRef(name));
  self->checked = checked;
  self->fixed_params = fixed;
  Py_RETURN_NONE;
}

PyObject* counts(PyObject* object, PyObject*) {
  KernelObject* self = as(object);
  return Py_BuildValue("{s:n,s:K,s:K}", "versions", Py_ssize_t(self->variants->size()), "hits",
                       self->hits, "misses", self->misses);
}

PyMethodDef methods[] = {{"_bind_native", bind, METH_VARARGS, nullptr},
                         {"_native_counts", counts, METH_NOARGS, nullptr},
                         {nullptr, nullptr, 0, nullptr}};
PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(KernelObject, weakrefs), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};
PyType_Slot slots[] = {{Py_tp_doc, const_cast<char*>("What the ring needs of a kernel.")},
                       {Py_tp_new, reinterpret_cast<void*>(make)},
                       {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
                       {Py_tp_methods, methods},
                       {Py_tp_members, members},
                       {0, nullptr}};
PyType_Spec spec = {"gpures_lab._core._native.KernelBase", sizeof(KernelObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};

}  // namespace

bool add_kernel_type(PyObject* module) {
  kernel_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return kernel_type &&
         PyModule_AddObjectRef(module, "KernelBase", reinterpret_cast<PyObject*>(kernel_type)) == 0;
}

}  // namespace gpures::python
