// compute(): handles and scalars of a call become the words of one message.
#include <cstring>

#include "python/objects.hpp"

namespace gpures::python {

namespace {

constexpr u32 kMaxBound = kMaxArrays;

// Inputs or outputs of compute(): any sequence of handles of this grain, or one handle.
bool collect(GrainObject* self, PyObject* sequence, Call& call) {
  if (!sequence || sequence == Py_None) return true;
  PyObject* const* items;
  Py_ssize_t count;
  PyObject* fast = nullptr;
  if (PyObject_TypeCheck(sequence, array_type)) {
    items = &sequence;
    count = 1;
  } else {
    if (!PyList_CheckExact(sequence) && !PyTuple_CheckExact(sequence) &&
        (PyUnicode_Check(sequence) || PyArray_Check(sequence))) {
      raise_hook("not_a_handle", "(O)", sequence);
      return false;
    }
    fast = PySequence_Fast(sequence, "inputs and outputs are sequences of handles");
    if (!fast) return false;
    items = PySequence_Fast_ITEMS(fast);
    count = PySequence_Fast_GET_SIZE(fast);
  }
  bool good = true;
  if (call.count + count > kMaxBound) {
    raise_hook("too_many", "(si)", "arrays of one compute()", int(kMaxBound));
    good = false;
  }
  for (Py_ssize_t n = 0; good && n < count; ++n) {
    good = check_array(self, items[n]);
    if (good) {
      call.arrays[call.count++] = reinterpret_cast<ResidentArrayObject*>(Py_NewRef(items[n]));
    }
  }
  Py_XDECREF(fast);
  return good;
}

}  // namespace

namespace {

i64 extent_of(const ResidentArrayObject* array, u8 axis) {
  // One dimension may have no tuple yet.
  if (axis == EqualExtents::kFlat || array->ndim < 2) return array->size;
  return PyLong_AsLongLong(PyTuple_GET_ITEM(array->shape, axis));
}

// A body whose stores do not follow the index: one that adds up runs over one index only, and a
// space taken from its output covers what it reads at an index.
bool check_followed(PyObject* kernel, const Variant& variant, const Call& call, const i64* space,
                    bool taken) {
  i64 total = 1;
  for (u32 d = 0; d < variant.entry.indices; ++d) total *= space[d];
  PyObject* output = nullptr;
  PyObject* missed = nullptr;
  for (const Followed& read : variant.followed) {
    const ResidentArrayObject* array = call.arrays[read.array];
    if (!taken || extent_of(array, read.axis) <= space[read.index]) continue;
    output = reinterpret_cast<PyObject*>(call.arrays[call.inputs]);
    missed = reinterpret_cast<PyObject*>(call.arrays[read.array]);
    break;
  }
  if (!missed && variant.adds_up >= 0 && total > 1) {
    output = reinterpret_cast<PyObject*>(call.arrays[variant.adds_up]);
    missed = Py_None;
  }
  if (!missed) return true;
  PyObject* extents = PyTuple_New(variant.entry.indices);
  if (!extents) return false;
  for (u32 d = 0; d < variant.entry.indices; ++d) {
    PyTuple_SET_ITEM(extents, d, PyLong_FromLongLong(space[d]));
  }
  raise_hook("index_space_misses", "(OOONi)", kernel, output, missed, extents,
             int(variant.adds_up >= 0));
  return false;
}

// n= or shape=, else the first output's (a reduction's: first input's size), which is `taken`.
bool find_space(PyObject* kernel, const Variant& variant, const Call& call, PyObject* n,
                PyObject* shape, i64* space, bool& taken) {
  const KernelEntry& entry = variant.entry;
  const bool reduction = entry.flags & kKernelReduction;
  const u32 leader = reduction ? 0 : call.inputs;
  if ((n && n != Py_None) || (shape && shape != Py_None)) {
    PyObject* function = hook("index_space");
    if (!function) return false;
    PyObject* extents = PyObject_CallFunction(function, "OiOO", kernel, int(entry.indices),
                                              n ? n : Py_None, shape ? shape : Py_None);
    Py_DECREF(function);
    if (!extents) return false;
    for (u32 d = 0; d < entry.indices; ++d) {
      space[d] = PyLong_AsLongLong(PyTuple_GET_ITEM(extents, d));
    }
    Py_DECREF(extents);
    return true;
  }
  taken = true;
  const ResidentArrayObject* array = leader < call.count ? call.arrays[leader] : nullptr;
  if (array && entry.indices == 1) {
    space[0] = array->size;
    return true;
  }
  if (!array || array->ndim != entry.indices) {
    raise_hook("no_space", "(Oii)", kernel, int(entry.indices), array ? int(array->ndim) : -1);
    return false;
  }
  for (u32 d = 0; d < entry.indices; ++d) {
    space[d] = PyLong_AsLongLong(PyTuple_GET_ITEM(array->shape, d));
  }
  return true;
}

}  // namespace

// The index space of a call, which its body can run over.
bool space_of(PyObject* kernel, const Variant& variant, const Call& call, PyObject* n,
              PyObject* shape, i64* space) {
  bool taken = false;
  if (!find_space(kernel, variant, call, n, shape, space, taken)) return false;
  if (variant.adds_up < 0 && variant.followed.empty()) return true;
  return check_followed(kernel, variant, call, space, taken);
}

namespace {

// Arrays of a library kernel that reads shapes: they fit each other, and the space the output's
// rows, which may be fewer.
bool check_shapes(PyObject* kernel, const Variant& variant, const Call& call, const i64* space) {
  bool fits = true;
  for (const EqualExtents& pair : variant.equal) {
    fits = fits && extent_of(call.arrays[pair.array], pair.axis) ==
                       extent_of(call.arrays[pair.other], pair.other_axis);
  }
  const u8 indices = variant.entry.indices;
  for (u8 d = 1; d < indices; ++d) {
    fits = fits && space[d] == extent_of(call.arrays[call.inputs], d);
  }
  if (fits) return true;
  PyObject* arrays = PyTuple_New(call.count);
  PyObject* extents = PyTuple_New(indices);
  for (u32 a = 0; arrays && a < call.count; ++a) {
    PyTuple_SET_ITEM(arrays, a, Py_NewRef(reinterpret_cast<PyObject*>(call.arrays[a])));
  }
  for (u8 d = 0; extents && d < indices; ++d) {
    PyTuple_SET_ITEM(extents, d, PyLong_FromLongLong(space[d]));
  }
  if (arrays && extents) raise_hook("do_not_fit", "(OOO)", kernel, arrays, extents);
  Py_XDECREF(arrays);
  Py_XDECREF(extents);
  return false;
}

}  // namespace

// What the worker would refuse, and the host can know: maps that leave an array.
bool check_sizes(PyObject* kernel, const Variant& variant, const Call& call, const i64* space) {
  if (!variant.equal.empty() && !check_shapes(kernel, variant, call, space)) return false;
  i64 total = 1;
  for (u32 d = 0; d < variant.entry.indices; ++d) total *= space[d];
  for (u32 a = 0; a < variant.entry.arrays; ++a) {
    const KernelArray& rule = variant.entry.array[a];
    const ResidentArrayObject* array = call.arrays[variant.order[a]];
    const i64 needed = rule.rule == kAtLeastN ? total : rule.rule >= kAtLeastOne ? 1 : 0;
    bool fits = rule.rule == kOnlyOne ? array->size == 1 : array->size >= needed;
    if (fits && rule.rule == kAtLeastN && rule.ndim > 1 && rule.ndim == variant.entry.indices) {
      for (u32 d = 0; d < rule.ndim; ++d) {
        fits = fits && space[d] <= PyLong_AsLongLong(PyTuple_GET_ITEM(array->shape, d));
      }
    }
    if (fits) continue;
    PyObject* extents = PyTuple_New(variant.entry.indices);
    for (u32 d = 0; d < variant.entry.indices; ++d) {
      PyTuple_SET_ITEM(extents, d, PyLong_FromLongLong(space[d]));
    }
    raise_hook("too_small", "(OONL)", kernel, reinterpret_cast<const PyObject*>(array), extents,
               needed);
    return false;
  }
  return true;
}

bool argument_words(const Variant& variant, const Call& call, const i64* space, u64* words,
                    u32& used) {
  const KernelEntry& entry = variant.entry;
  used = 0;
  const u32 needed = entry.indices - 1u + entry.arrays + entry.param_words + entry.shape_words;
  if (needed > kPageWords) {
    raise_hook("too_many", "(si)", "argument words of one compute()", int(kPageWords));
    return false;
  }
  for (u32 d = 1; d < entry.indices; ++d) words[used++] = u64(space[d]);
  for (u32 a = 0; a < entry.arrays; ++a) words[used++] = call.arrays[variant.order[a]]->handle;
  for (u32 p = 0; p < entry.param_words; ++p) words[used++] = call.words[p];
  for (u32 a = 0; a < entry.arrays; ++a) {
    if (entry.array[a].ndim < 2) continue;
    PyObject* shape = call.arrays[variant.order[a]]->shape;
    for (u32 d = 0; d < entry.array[a].ndim; ++d) {
      words[used++] = u64(PyLong_AsLongLong(PyTuple_GET_ITEM(shape, d)));
    }
  }
  return true;
}

// compute(kernel, inputs=(), outputs=(), params=None, n=None, shape=None, checked=None)
PyObject* grain_compute(PyObject* object, PyObject* const* args, Py_ssize_t count,
                        PyObject* names) {
  static const char* const keywords[] = {"kernel", "inputs", "outputs", "params",
                                         "n",      "shape",  "checked"};
  PyObject* slots[7];
  if (!parse("compute", args, count, names, keywords, 7, 1, 4, slots)) return nullptr;
  auto* self = reinterpret_cast<GrainObject*>(object);
  const Busy busy(self);
  if (!check_open(self)) return nullptr;
  KernelObject* kernel = kernel_of(slots[0]);
  if (!kernel) return nullptr;
  Call call;
  if (!collect(self, slots[1], call)) return nullptr;
  call.inputs = call.count;
  if (!collect(self, slots[2], call)) return nullptr;
  bool cache_hit;
  Variant* variant = find_variant(kernel, call, slots[3], slots[6], cache_hit);
  if (!variant) return nullptr;
  // Compiling may have run Python: the handles are looked at again.
  for (u32 a = 0; !cache_hit && a < call.count; ++a) {
    if (!check_array(self, reinterpret_cast<PyObject*>(call.arrays[a]))) return nullptr;
  }
  auto* kernel_object = reinterpret_cast<PyObject*>(kernel);
  i64 space[kMaxIndices];
  if (!space_of(kernel_object, *variant, call, slots[4], slots[5], space)) return nullptr;
  if (!check_sizes(kernel_object, *variant, call, space)) return nullptr;

  note_kernel(self, kernel->name);
  const KernelEntry& entry = variant->entry;
  Outgoing message;
  message.slot.opcode = u16(Opcode::kCompute);
  auto& payload = *reinterpret_cast<ComputeMessage*>(message.slot.payload);
  payload.kernel = variant->id;
  payload.arrays = entry.arrays;
  payload.param_words = entry.param_words;
  payload.indices = entry.indices;
  payload.n = u64(space[0]);
  u64 words[kPageWords];
  u32 used = 0;
  if (!argument_words(*variant, call, space, words, used)) return nullptr;
  if (used <= kInlineWords) {
    std::memcpy(payload.words, words, used * sizeof(u64));
  } else {
    payload.in_page = 1;
    message.page = words;
    message.page_bytes = used * u32(sizeof(u64));
  }
  message.kernel = variant->id;
  if (is_recording()) [[unlikely]] {
    if (!check_in_ring(self, *variant)) return nullptr;
    PyObject* bound = params_of(kernel, call, *variant, slots[3]);
    if (!bound || !record_step(self, message, call.arrays, call.count, &entry, kernel->name, bound,
                               call.inputs)) {
      return nullptr;
    }
    Py_RETURN_NONE;
  }
  std::unique_ptr<StreamWork> work;
  if (goes_wide(*self->engine, *variant, space)) [[unlikely]] {
    Status status;
    work = wide_work(*self->engine, *variant, call, payload, words, status);
    if (status != Status::kOk) {  // the checks above said otherwise
      PyErr_Format(PyExc_SystemError, "compute() passed its checks and not the worker's: %d",
                   int(status));
      return nullptr;
    }
    const Passes passes = plan_passes(self, *variant, call, *work);
    if (passes == Passes::kError) return nullptr;
    if (passes == Passes::kNoMemory) work.reset();
  }
  if (work) [[unlikely]] {
    message.page_bytes = 0;
    if (!post_work_or_raise(self, message, std::move(work))) return nullptr;
  } else if (!post_or_raise(self, message)) {
    return nullptr;
  }
  // The name as it was asked for: an alias stays one.
  PyObject* name = PyUnicode_Check(slots[0]) ? slots[0] : kernel->name;
  return make_completion(self, message.request, Outcome::kCompute, Py_NewRef(name), cache_hit);
}

}  // namespace gpures::python
