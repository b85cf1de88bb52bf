// allocate() and release(): rent a block, name it by a handle, give it back in ring order.
#include "python/objects.hpp"

namespace gpures::python {

bool grow_arena(GrainObject* grain, u32 arena, u64 bytes) {
  PyObject* function = hook("grow_arena");
  if (!function) return false;
  PyObject* grown = PyObject_CallFunction(function, "OIK", grain->manager, arena,
                                          static_cast<unsigned long long>(bytes));
  Py_DECREF(function);
  Py_XDECREF(grown);
  return grown != nullptr;
}

static bool allocate(GrainObject* grain, Outgoing& message, u64 bytes, u32 arena, u64& handle,
                     u32 attempt) {
  Engine& engine = *grain->engine;
  RingHost& ring = grain->core->ring;
  const bool again = handle != 0;
  drain_graveyard(engine);
  if (engine.not_started()) engine.start();
  auto& payload = *reinterpret_cast<AllocateMessage*>(message.slot.payload);
  const bool keep_old = payload.zero == 0;
  Pool::Rented rented;
  u64 since = 0;
  for (;;) {
    try {
      rented = engine.pool->rent(bytes, ring.view.index, grain->core->index, arena);
    } catch (const std::bad_alloc&) {
      rented = {};
    }
    if (rented.grow != 0) {
      if (!grow_arena(grain, arena, rented.grow)) return false;
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
    // Other grains may be worth less than this call.
    PyObject* function = hook("make_room");
    PyObject* made =
        function ? PyObject_CallFunction(function, "OKI", reinterpret_cast<PyObject*>(grain),
                                         class_bytes(bytes), attempt)
                 : nullptr;
    Py_XDECREF(function);
    if (!made) return false;
    const bool retry = made == Py_True;
    Py_DECREF(made);
    if (retry) return allocate(grain, message, bytes, arena, handle, attempt + 1);
    const PoolCounts counts = engine.pool->counts();
    raise_hook("pool_exhausted", "(KKKKK)", bytes, class_bytes(bytes), counts.used_bytes,
               counts.idle_bytes, counts.limit_bytes);
    return false;
  }
  payload.block = rented.block;
  payload.bytes = bytes;
  const Unlocked::Allowed allowed;
  // zero=False may show only what the same grain left behind.
  payload.zero = !rented.clean && !(keep_old && rented.own);
  // One block of threads would take a millisecond for 100 MB.
  const u64 block_bytes = engine.pool->block_bytes(rented.block);
  const bool zeroes_wide = payload.zero && fills_wide(engine, arena, block_bytes, 1);
  if (zeroes_wide) payload.zero = 0;
  since = 0;
  for (;;) {
    Post posted;
    try {
      if (again) payload.handle = handle;
      posted = again ? ring.post(*grain->core, message)
                     : ring.post_allocate(*grain->core, message, handle);
    } catch (const std::bad_alloc&) {
      engine.pool->give_back_unused(rented.block);
      raise_hook("too_many", "(si)", "live allocations", int(engine.capacities().handles));
      return false;
    }
    if (posted == Post::kPosted || posted == Post::kHeld) {
      if (!zeroes_wide) return true;
      const u8 zero = 0;
      Outgoing zeroing;
      zeroing.slot.opcode = u16(Opcode::kWrite);
      auto work = fill_work(engine, rented.block, 0, block_bytes, &zero, 1);
      work->is_message = false;
      // Nobody knows the handle yet, so nothing comes between.
      if (ring.post_work(*grain->core, zeroing, work, false, true) == Post::kHeld) {
        engine.drop(zeroing.request);
      }
      return true;
    }
    if (!wait_for_room(grain, posted, since)) {
      engine.pool->give_back_unused(rented.block);
      return false;
    }
  }
}

bool allocate_or_raise(GrainObject* grain, Outgoing& message, u64 bytes, u32 arena, u64& handle) {
  return allocate(grain, message, bytes, arena, handle, 0);
}

void count_resident(const ResidentArrayObject* array, int change) {
  Engine& engine = *array->grain->engine;
  engine.allocations.fetch_add(u64(change), std::memory_order_relaxed);
  engine.allocated_bytes.fetch_add(u64(change) * array->nbytes, std::memory_order_relaxed);
}

static void link(ResidentArrayObject* array) {
  GrainObject* grain = array->grain;
  array->newer = nullptr;
  array->older = grain->first;
  if (grain->first) grain->first->newer = array;
  grain->first = array;
  count_resident(array, 1);
  ++grain->core->allocations;
  grain->core->bytes += array->nbytes;
}

void unlink(ResidentArrayObject* array) {
  GrainObject* grain = array->grain;
  (array->newer ? array->newer->older : grain->first) = array->older;
  if (array->older) array->older->newer = array->newer;
  array->live = false;
  if (array->block != kNone) count_resident(array, -1);
  --grain->core->allocations;
  grain->core->bytes -= array->nbytes;
}

void fill_release(const ResidentArrayObject* array, Outgoing& message) {
  message.slot.opcode = u16(Opcode::kRelease);
  message.slot.payload[0] = array->handle;
  message.block = array->block;
}

// allocate(shape, *, dtype=None, name=None, zero=True, memory_type="device")
PyObject* grain_allocate(PyObject* object, PyObject* const* args, Py_ssize_t count,
                         PyObject* names) {
  static const char* const keywords[] = {"shape", "dtype", "name", "zero", "memory_type"};
  PyObject* slots[5];
  if (!parse("allocate", args, count, names, keywords, 5, 1, 1, slots)) return nullptr;
  auto* self = reinterpret_cast<GrainObject*>(object);
  if (is_recording()) [[unlikely]] {
    refuse_to_record("allocate");
    return nullptr;
  }
  const Busy busy(self);
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
  const int zero = flag_of("zero", slots[3], true);
  payload.zero = zero != 0;
  const u64 nbytes = u64(size) * u64(PyDataType_ELSIZE(dtype));
  u64 handle = 0;
  auto* array = zero < 0 ? nullptr : PyObject_GC_New(ResidentArrayObject, array_type);
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
  if (array->block == kNone) return grain->core->ring.forget_handle(array->handle);
  Outgoing message;
  fill_release(array, message);
  if (grain->core->ring.post_always(*grain->core, message)) grain->engine->drop(message.request);
}

}  // namespace gpures::python
