// GrainBase: allocate, compute, release, and the small messages. Transfers are in transfer.cpp.
#include <cstring>

#include "python/objects.hpp"
#include "structmember.h"

namespace gpures::python {

PyTypeObject* grain_type = nullptr;

namespace {

GrainObject* as(PyObject* self) { return reinterpret_cast<GrainObject*>(self); }

constexpr u32 kMaxBound = kMaxArrays;

}  // namespace

// The first message of a device's engine: its memory and its image are made now.
static bool start_device(GrainObject* grain) {
  PyObject* function = hook("start_device");
  if (!function) return false;
  PyObject* result = PyObject_CallOneArg(function, grain->manager);
  Py_DECREF(function);
  Py_XDECREF(result);
  return result != nullptr;
}

bool check_open(GrainObject* grain) {
  if (!grain->engine->forked() && grain->manager) {
    return !grain->engine->wants_memory() || start_device(grain);
  }
  raise_hook("closed", "(OO)", grain->key, grain->engine->forked() ? Py_True : Py_False);
  return false;
}

bool check_array(GrainObject* grain, PyObject* object) {
  if (!PyObject_TypeCheck(object, array_type)) {
    raise_hook("not_a_handle", "(O)", object);
    return false;
  }
  auto* array = reinterpret_cast<ResidentArrayObject*>(object);
  if (!check_open(grain)) return false;
  if (array->grain != grain) {
    raise_hook("foreign", "(OO)", object, grain->key);
    return false;
  }
  if (!array->live) {
    raise_hook("released", "(O)", object);
    return false;
  }
  return true;
}

bool post_or_raise(GrainObject* grain, Outgoing& message) {
  Engine& engine = *grain->engine;
  RingHost& ring = grain->core->ring;
  drain_graveyard(engine);
  if (engine.not_started()) engine.start();
  u64 since = 0;
  for (;;) {
    const Post posted = ring.post(*grain->core, message);
    if (posted == Post::kPosted || posted == Post::kHeld) return true;
    if (posted == Post::kClosed) {
      raise_hook("refused", "(OiK)", grain->key, int(ring.close_cause()),
                 engine.current_request(ring.view.index));
      return false;
    }
    const u64 now = steady_ns();
    if (since == 0) since = now;
    if (now - since >= grain->full_wait_ns) {
      raise_hook("ring_full", "(OKKKi)", grain->key, ring.view.slot_count, ring.pending(),
                 grain->full_wait_ns, int(ring.view.index));
      return false;
    }
    const u64 slice = std::min<u64>(grain->full_wait_ns - (now - since), 50'000'000);
    Py_BEGIN_ALLOW_THREADS engine.wait_until(ring, slice,
                                             [&] { return ring.might_post(*grain->core); });
    Py_END_ALLOW_THREADS if (PyErr_CheckSignals() != 0) return false;
  }
}

bool allocate_or_raise(GrainObject* grain, Outgoing& message, u64 bytes, u32 arena, u64& handle) {
  if (is_recording()) [[unlikely]]
    return refuse_to_record("allocate");
  Engine& engine = *grain->engine;
  RingHost& ring = grain->core->ring;
  drain_graveyard(engine);
  if (engine.not_started()) engine.start();
  auto& allocate = *reinterpret_cast<AllocateMessage*>(message.slot.payload);
  const bool keep_old = allocate.zero == 0;
  Pool::Rented rented;
  u64 since = 0;
  for (;;) {
    try {
      rented = engine.pool->rent(bytes, ring.view.index, grain->core->index, arena);
    } catch (const std::bad_alloc&) {
      rented = {};
    }
    if (rented.block == kNone && rented.grow != 0) {  // once for all: the next look finds it
      PyObject* grown = PyObject_CallMethod(grain->manager, "_grow", "IK", arena, rented.grow);
      if (!grown) return false;
      Py_DECREF(grown);
      continue;
    }
    if (rented.block != kNone || !rented.wait) break;
    // The block that has to go first waits for its Release.
    if (since == 0) since = steady_ns();
    if (steady_ns() - since > grain->full_wait_ns) break;
    Py_BEGIN_ALLOW_THREADS ring.poll();
    cpu_relax();
    Py_END_ALLOW_THREADS
  }
  if (rented.block == kNone) {
    const PoolCounts counts = engine.pool->counts();
    raise_hook("pool_exhausted", "(KKKKK)", bytes, class_bytes(bytes), counts.used_bytes,
               counts.idle_bytes, counts.limit_bytes);
    return false;
  }
  allocate.block = rented.block;
  allocate.bytes = bytes;
  // zero=False may show only what the same grain left behind.
  allocate.zero = !rented.clean && !(keep_old && rented.own);
  since = 0;
  for (;;) {
    Post posted;
    try {
      posted = ring.post_allocate(*grain->core, message, handle);
    } catch (const std::bad_alloc&) {
      engine.pool->give_back_unused(rented.block);
      raise_hook("too_many", "(si)", "live allocations", int(engine.capacities().handles));
      return false;
    }
    if (posted == Post::kPosted || posted == Post::kHeld) return true;
    const u64 now = steady_ns();
    if (since == 0) since = now;
    if (posted == Post::kClosed || now - since >= grain->full_wait_ns) {
      engine.pool->give_back_unused(rented.block);
      if (posted == Post::kClosed) {
        raise_hook("refused", "(OiK)", grain->key, int(ring.close_cause()),
                   engine.current_request(ring.view.index));
      } else {
        raise_hook("ring_full", "(OKKKi)", grain->key, ring.view.slot_count, ring.pending(),
                   grain->full_wait_ns, int(ring.view.index));
      }
      return false;
    }
    const u64 slice = std::min<u64>(grain->full_wait_ns - (now - since), 50'000'000);
    Py_BEGIN_ALLOW_THREADS engine.wait_until(ring, slice,
                                             [&] { return ring.might_post(*grain->core); });
    Py_END_ALLOW_THREADS if (PyErr_CheckSignals() != 0) {
      engine.pool->give_back_unused(rented.block);
      return false;
    }
  }
}

namespace {

void link(ResidentArrayObject* array) {
  GrainObject* grain = array->grain;
  array->newer = nullptr;
  array->older = grain->first;
  if (grain->first) grain->first->newer = array;
  grain->first = array;
  grain->engine->allocations.fetch_add(1, std::memory_order_relaxed);
  grain->engine->allocated_bytes.fetch_add(array->nbytes, std::memory_order_relaxed);
  ++grain->core->allocations;
  grain->core->bytes += array->nbytes;
}

void unlink(ResidentArrayObject* array) {
  GrainObject* grain = array->grain;
  (array->newer ? array->newer->older : grain->first) = array->older;
  if (array->older) array->older->newer = array->newer;
  array->live = false;
  grain->engine->allocations.fetch_sub(1, std::memory_order_relaxed);
  grain->engine->allocated_bytes.fetch_sub(array->nbytes, std::memory_order_relaxed);
  --grain->core->allocations;
  grain->core->bytes -= array->nbytes;
}

void fill_release(const ResidentArrayObject* array, Outgoing& message) {
  message.slot.opcode = u16(Opcode::kRelease);
  message.slot.payload[0] = array->handle;
  message.block = array->block;
}

// allocate(shape, *, dtype=None, name=None, zero=True, memory_type="device")
PyObject* allocate(PyObject* object, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  static const char* const keywords[] = {"shape", "dtype", "name", "zero", "memory_type"};
  PyObject* slots[5];
  if (!parse("allocate", args, count, names, keywords, 5, 1, 1, slots)) return nullptr;
  GrainObject* self = as(object);
  if (!check_open(self)) return nullptr;
  if (slots[2] && slots[2] != Py_None) {  // owned by the grain
    PyObject* function = hook("allocate_named");
    if (!function) return nullptr;
    PyObject* handle = PyObject_CallFunctionObjArgs(
        function, object, slots[0], slots[1] ? slots[1] : Py_None, slots[2],
        slots[3] ? slots[3] : Py_True, slots[4] ? slots[4] : Py_None, nullptr);
    Py_DECREF(function);
    return handle;
  }
  i64 size;
  u32 ndim = 1, arena = 0;
  PyObject* shape = nullptr;
  PyArray_Descr* dtype = self->dtype;
  u8 code = 0xff;
  if (PyLong_CheckExact(slots[0]) && !slots[1] && !slots[4]) {
    size = PyLong_AsLongLong(slots[0]);
    if (size == -1 && PyErr_Occurred()) PyErr_Clear();
  } else {
    size = -1;
  }
  if (size > 0 && size < (i64{1} << 56)) {
    Py_INCREF(dtype);
  } else {  // everything rare: checked and normalized in Python
    PyObject* function = hook("normalize_allocation");
    if (!function) return nullptr;
    PyObject* normal =
        PyObject_CallFunction(function, "OOOO", object, slots[0], slots[1] ? slots[1] : Py_None,
                              slots[4] ? slots[4] : Py_None);
    Py_DECREF(function);
    if (!normal) return nullptr;
    long long elements;
    int pinned;
    if (!PyArg_ParseTuple(normal, "LO!Oi", &elements, &PyTuple_Type, &shape, &dtype, &pinned)) {
      Py_DECREF(normal);
      return nullptr;
    }
    size = elements;
    arena = u32(pinned);
    ndim = u32(PyTuple_GET_SIZE(shape));
    Py_INCREF(shape);
    Py_INCREF(dtype);
    Py_DECREF(normal);
  }
  code = dtype_code(dtype);
  Outgoing message;
  message.slot.opcode = u16(Opcode::kAllocate);
  auto& payload = *reinterpret_cast<AllocateMessage*>(message.slot.payload);
  const int zero = slots[3] ? PyObject_IsTrue(slots[3]) : 1;
  payload.zero = zero != 0;
  const u64 nbytes = u64(size) * u64(PyDataType_ELSIZE(dtype));
  u64 handle = 0;
  auto* array = zero < 0 ? nullptr : PyObject_New(ResidentArrayObject, array_type);
  if (!array) {
    Py_XDECREF(shape);
    Py_DECREF(dtype);
    return nullptr;
  }
  Py_INCREF(self);
  array->grain = self;
  array->dtype = dtype;
  array->shape = shape;
  array->name = nullptr;
  array->weakrefs = nullptr;
  array->live = false;
  if (!allocate_or_raise(self, message, nbytes, arena, handle)) {
    Py_DECREF(array);
    return nullptr;
  }
  self->engine->drop(message.request);  // a failure is the handle's first use, and is counted
  array->handle = handle;
  array->size = size;
  array->nbytes = nbytes;
  array->ordinal = self->ordinals++;
  array->block = payload.block;
  array->code = code;
  array->ndim = u8(ndim);
  array->arena = u8(arena);
  array->live = true;
  link(array);
  return reinterpret_cast<PyObject*>(array);
}

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

// The index space: n= or shape=, else the first output's (a reduction's: first input's size).
bool space_of(PyObject* kernel, const Variant& variant, const Call& call, PyObject* n,
              PyObject* shape, i64* space) {
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

// What the worker would refuse, and the host can know: maps that leave an array.
bool check_sizes(PyObject* kernel, const Variant& variant, const Call& call, const i64* space) {
  i64 total = 1;
  for (u32 d = 0; d < variant.entry.indices; ++d) total *= space[d];
  for (u32 a = 0; a < variant.entry.arrays; ++a) {
    const KernelArray& rule = variant.entry.array[a];
    const ResidentArrayObject* array = call.arrays[variant.order[a]];
    const i64 needed = rule.rule == kAtLeastN ? total : rule.rule == kAtLeastOne ? 1 : 0;
    bool fits = array->size >= needed;
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

namespace {

// compute(kernel, inputs=(), outputs=(), params=None, n=None, shape=None, checked=None)
PyObject* compute(PyObject* object, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  static const char* const keywords[] = {"kernel", "inputs", "outputs", "params",
                                         "n",      "shape",  "checked"};
  PyObject* slots[7];
  if (!parse("compute", args, count, names, keywords, 7, 1, 4, slots)) return nullptr;
  GrainObject* self = as(object);
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
    PyObject* bound = params_of(kernel, call, *variant, slots[3]);
    if (!bound ||
        !record_step(self, message, call.arrays, call.count, &entry, kernel->name, bound)) {
      return nullptr;
    }
    Py_RETURN_NONE;
  }
  if (!post_or_raise(self, message)) return nullptr;
  // The name as it was asked for: an alias stays one.
  PyObject* name = PyUnicode_Check(slots[0]) ? slots[0] : kernel->name;
  return make_completion(self, message.request, Outcome::kCompute, Py_NewRef(name), cache_hit);
}

PyObject* write(PyObject* object, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  static const char* const keywords[] = {"handle", "data", "offset"};
  PyObject* slots[3];
  if (!parse("write", args, count, names, keywords, 3, 2, 2, slots)) return nullptr;
  if (!check_array(as(object), slots[0])) return nullptr;
  return grain_write(as(object), reinterpret_cast<ResidentArrayObject*>(slots[0]), slots[1],
                     slots[2]);
}

PyObject* read(PyObject* object, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  static const char* const keywords[] = {"handle", "count", "offset", "out"};
  PyObject* slots[4];
  if (!parse("read", args, count, names, keywords, 4, 1, 1, slots)) return nullptr;
  if (!check_array(as(object), slots[0])) return nullptr;
  return grain_read(as(object), reinterpret_cast<ResidentArrayObject*>(slots[0]), slots[1],
                    slots[2], slots[3]);
}

PyObject* release(PyObject* object, PyObject* handle) {
  if (!check_array(as(object), handle)) return nullptr;
  return grain_release(as(object), reinterpret_cast<ResidentArrayObject*>(handle));
}

PyObject* small_message(PyObject* object, Opcode opcode) {
  GrainObject* self = as(object);
  if (!check_open(self)) return nullptr;
  Outgoing message;
  message.slot.opcode = u16(opcode);
  if (is_recording()) [[unlikely]] {
    if (!record_step(self, message, nullptr, 0, nullptr, nullptr, nullptr)) return nullptr;
    Py_RETURN_NONE;
  }
  if (!post_or_raise(self, message)) return nullptr;
  return make_completion(self, message.request, Outcome::kNone, nullptr);
}
PyObject* ping(PyObject* object, PyObject*) { return small_message(object, Opcode::kNoop); }
PyObject* barrier(PyObject* object, PyObject*) { return small_message(object, Opcode::kBarrier); }

PyObject* cancel(PyObject* object, PyObject*) {
  GrainObject* self = as(object);
  if (!check_open(self)) return nullptr;
  RingHost& ring = self->core->ring;
  bool done = ring.cancel(*self->core);
  const u64 since = steady_ns();
  while (!done) {
    if (steady_ns() - since >= self->full_wait_ns) {
      return raise_hook("ring_full", "(OKKKi)", self->key, ring.view.slot_count, ring.pending(),
                        self->full_wait_ns, int(ring.view.index));
    }
    Py_BEGIN_ALLOW_THREADS const u64 slice = std::min<u64>(self->full_wait_ns, 50'000'000);
    self->engine->wait_until(ring, slice, [&] { return done = ring.cancel(*self->core); });
    Py_END_ALLOW_THREADS if (PyErr_CheckSignals() != 0) return nullptr;
  }
  Py_RETURN_NONE;
}

// Live handles, oldest first.
PyObject* live(PyObject* object, PyObject*) {
  PyObject* list = PyList_New(0);
  for (auto* array = as(object)->first; list && array; array = array->older) {
    // A handle whose destructor runs is not live any more.
    if (Py_REFCNT(array) > 0 && PyList_Append(list, reinterpret_cast<PyObject*>(array)) != 0) {
      Py_CLEAR(list);
    }
  }
  if (list) PyList_Reverse(list);
  return list;
}

PyObject* hold(PyObject* object, PyObject*) {
  GrainObject* self = as(object);
  if (!check_open(self)) return nullptr;
  RingHost& ring = self->core->ring;
  const u64 thread = PyThread_get_thread_ident();
  auto held = RingHost::Hold::kLater;
  while (held == RingHost::Hold::kLater) {  // queued messages of an earlier hold go first
    Py_BEGIN_ALLOW_THREADS self->engine->wait_until(ring, 50'000'000, [&] {
      return (held = ring.try_hold(*self->core, thread)) != RingHost::Hold::kLater;
    });
    Py_END_ALLOW_THREADS if (held == RingHost::Hold::kLater &&
                             PyErr_CheckSignals() != 0) return nullptr;
  }
  if (held == RingHost::Hold::kNever) return raise_hook("borrowed", "(O)", self->key);
  bool idle = false;
  while (!idle) {
    Py_BEGIN_ALLOW_THREADS self->engine->wait_until(
        ring, 50'000'000, [&] { return idle = ring.is_idle(*self->core); });
    Py_END_ALLOW_THREADS if (!idle && PyErr_CheckSignals() != 0) {
      ring.unhold(*self->core);
      return nullptr;
    }
  }
  self->borrower = PyThread_get_thread_ident();
  Py_RETURN_NONE;
}

PyObject* unhold(PyObject* object, PyObject*) {
  GrainObject* self = as(object);
  if (self->core->ring.unhold(*self->core)) self->borrower = 0;
  Py_RETURN_NONE;
}

PyObject* counts(PyObject* object, PyObject*) {
  GrainObject* self = as(object);
  const GrainCounts counts = self->core->ring.counts(*self->core);
  return Py_BuildValue("{s:K,s:K,s:K,s:K,s:K,s:K,s:I}", "messages", counts.messages, "failed",
                       counts.failed, "service_ns", counts.service_ns, "pending", counts.pending,
                       "allocations", u64(self->core->allocations), "bytes", u64(self->core->bytes),
                       "ring", self->core->ring.view.index);
}

PyObject* disown(PyObject* object, PyObject*) {  // the manager closes
  Py_CLEAR(as(object)->manager);
  Py_RETURN_NONE;
}

PyObject* get_key(PyObject* object, void*) { return Py_NewRef(as(object)->key); }
PyObject* get_dtype(PyObject* object, void*) {
  return Py_NewRef(reinterpret_cast<PyObject*>(as(object)->dtype));
}
PyObject* get_manager(PyObject* object, void*) {
  return Py_NewRef(as(object)->manager ? as(object)->manager : Py_None);
}

PyObject* make(PyTypeObject* type, PyObject* args, PyObject*) {
  PyObject *engine, *manager, *key, *dtype;
  int dedicated;
  unsigned long long full_wait_ns;
  if (!PyArg_ParseTuple(args, "OOUO!pK", &engine, &manager, &key, &PyArrayDescr_Type, &dtype,
                        &dedicated, &full_wait_ns)) {
    return nullptr;
  }
  Engine* core_engine = engine_of(engine);
  if (!core_engine) return nullptr;
  Grain* core = core_engine->make_grain(dedicated);
  if (!core) return raise_hook("no_ring", "(OI)", key, core_engine->ring_count());
  auto* self = as(type->tp_alloc(type, 0));
  if (!self) return nullptr;
  core_engine->retain();
  self->engine = core_engine;
  self->core = core;
  self->manager = Py_NewRef(manager);
  self->key = Py_NewRef(key);
  self->dtype = reinterpret_cast<PyArray_Descr*>(Py_NewRef(dtype));
  self->full_wait_ns = full_wait_ns;
  return reinterpret_cast<PyObject*>(self);
}

void dealloc(PyObject* object) {
  GrainObject* self = as(object);
  if (self->weakrefs) PyObject_ClearWeakRefs(object);
  PyTypeObject* type = Py_TYPE(object);
  Py_XDECREF(self->manager);
  Py_XDECREF(self->key);
  Py_XDECREF(reinterpret_cast<PyObject*>(self->dtype));
  if (self->engine) self->engine->release();
  type->tp_free(object);
  Py_DECREF(type);
}

#define GPURES_FAST(function) reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function))

PyMethodDef methods[] = {
    {"_allocate", GPURES_FAST(allocate), METH_FASTCALL | METH_KEYWORDS, nullptr},
#include "python/grain_docs.inc"
    {"_live", live, METH_NOARGS, nullptr},
    {"_hold", hold, METH_NOARGS, nullptr},
    {"_unhold", unhold, METH_NOARGS, nullptr},
    {"_counts", counts, METH_NOARGS, nullptr},
    {"_disown", disown, METH_NOARGS, nullptr},
    {"_begin_record", grain_begin_record, METH_O, nullptr},
    {"_end_record", grain_end_record, METH_NOARGS, nullptr},
    {"_program_store", grain_program_store, METH_NOARGS, nullptr},
    {"_run_program", grain_run_program, METH_VARARGS, nullptr},
    {"_submit", grain_submit, METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};
PyGetSetDef getset[] = {
    {"key", get_key, nullptr, "The grain's identity.", nullptr},
    {"dtype", get_dtype, nullptr, "Default dtype of allocate().", nullptr},
    {"manager", get_manager, nullptr, "The GrainManager, None after close.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};
PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(GrainObject, weakrefs), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};
PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(make)},
                       {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
                       {Py_tp_methods, methods},
                       {Py_tp_getset, getset},
                       {Py_tp_members, members},
                       {0, nullptr}};
PyType_Spec spec = {"gpures_lab._core._native.GrainBase", sizeof(GrainObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};

}  // namespace

PyObject* grain_release(GrainObject* grain, ResidentArrayObject* array) {
  if (is_recording()) [[unlikely]] {
    refuse_to_record("release");
    return nullptr;
  }
  Outgoing message;
  fill_release(array, message);
  // Dead from here on: waiting for room lets other threads in, and the second Release of a block
  // would put it into the free list twice.
  array->live = false;
  if (!post_or_raise(grain, message)) {
    array->live = true;
    return nullptr;
  }
  unlink(array);
  return make_completion(grain, message.request, Outcome::kNone, nullptr);
}

void release_quietly(ResidentArrayObject* array) {
  GrainObject* grain = array->grain;
  unlink(array);
  if (grain->engine->forked()) return;
  Outgoing message;
  fill_release(array, message);
  if (grain->core->ring.post_always(*grain->core, message)) grain->engine->drop(message.request);
}

bool add_grain_type(PyObject* module) {
  grain_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return grain_type &&
         PyModule_AddObjectRef(module, "GrainBase", reinterpret_cast<PyObject*>(grain_type)) == 0;
}

}  // namespace gpures::python
