// GrainBase: the type, and the small messages. The others have a file each.
#include "python/objects.hpp"
#include "structmember.h"

namespace gpures::python {

PyTypeObject* grain_type = nullptr;

namespace {

GrainObject* as(PyObject* self) { return reinterpret_cast<GrainObject*>(self); }

}  // namespace

bool is_open(GrainObject* grain) {
  if (!grain->engine->forked() && grain->manager) return true;
  raise_hook("closed", "(OO)", grain->key, grain->engine->forked() ? Py_True : Py_False);
  return false;
}

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
  if (!is_open(grain)) return false;
  if (grain->engine->wants_memory() && !start_device(grain)) return false;
  if (!grain->asleep) [[likely]]
    return true;
  PyObject* function = hook("wake");
  if (!function) return false;
  PyObject* woken = PyObject_CallOneArg(function, reinterpret_cast<PyObject*>(grain));
  Py_DECREF(function);
  Py_XDECREF(woken);
  return woken != nullptr;
}

PyObject* raise_refused(GrainObject* grain, Status cause) {
  const Engine::Stall stall = grain->engine->stall();
  return raise_hook("refused", "(OiKI)", reinterpret_cast<PyObject*>(grain), int(cause),
                    stall.request, stall.grain);
}

bool interrupted(const GrainObject* grain) {
  if (PyErr_CheckSignals() == 0) return false;
  if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
    PyErr_Clear();
    raise_hook("interrupted_grain", "(O)", grain->key);
  }
  return true;
}

PyObject* say_interrupted(const GrainObject* grain, const char* unit, u64 done, u64 total) {
  if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
    PyErr_Clear();
    raise_hook("interrupted_parts", "(OsKK)", grain->key, unit, done, total);
  }
  return nullptr;
}

bool is_quiesced_here(const GrainObject* grain) {
  return grain->engine->is_quiesced_by(PyThread_get_thread_ident());
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

bool wait_for_room(GrainObject* grain, Post refused, u64& since) {
  RingHost& ring = grain->core->ring;
  if (refused == Post::kClosed) {
    raise_refused(grain, ring.close_cause());
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
  Py_BEGIN_ALLOW_THREADS grain->engine->wait_until(ring, slice,
                                                   [&] { return ring.might_post(*grain->core); });
  Py_END_ALLOW_THREADS if (PyErr_CheckSignals() == 0) return true;
  say_interrupted(grain, "messages", 0, 1);
  return false;
}

bool post_or_raise(GrainObject* grain, Outgoing& message) {
  Engine& engine = *grain->engine;
  RingHost& ring = grain->core->ring;
  drain_graveyard(engine);
  if (engine.not_started()) engine.start();
  const Unlocked::Allowed allowed;
  u64 since = 0;
  for (;;) {
    const Post posted = ring.post(*grain->core, message);
    if (posted == Post::kPosted || posted == Post::kHeld) return true;
    if (!wait_for_room(grain, posted, since)) return false;
  }
}

namespace {

PyObject* write(PyObject* object, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  static const char* const keywords[] = {"handle", "data", "offset"};
  PyObject* slots[3];
  if (!parse("write", args, count, names, keywords, 3, 2, 2, slots)) return nullptr;
  const Busy busy(as(object));
  if (!check_array(as(object), slots[0])) return nullptr;
  return grain_write(as(object), reinterpret_cast<ResidentArrayObject*>(slots[0]), slots[1],
                     slots[2]);
}

PyObject* read(PyObject* object, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  static const char* const keywords[] = {"handle", "count", "offset", "out"};
  PyObject* slots[4];
  if (!parse("read", args, count, names, keywords, 4, 1, 1, slots)) return nullptr;
  const Busy busy(as(object));
  if (!check_array(as(object), slots[0])) return nullptr;
  return grain_read(as(object), reinterpret_cast<ResidentArrayObject*>(slots[0]), slots[1],
                    slots[2], slots[3]);
}

PyObject* release(PyObject* object, PyObject* handle) {
  const Busy busy(as(object));
  if (!check_array(as(object), handle)) return nullptr;
  return grain_release(as(object), reinterpret_cast<ResidentArrayObject*>(handle));
}

PyObject* small_message(PyObject* object, Opcode opcode) {
  GrainObject* self = as(object);
  const Busy busy(self);
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
    Py_END_ALLOW_THREADS if (interrupted(self)) return nullptr;
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

PyObject* counts(PyObject* object, PyObject*) {
  GrainObject* self = as(object);
  const GrainCounts counts = self->core->ring.counts(*self->core);
  return Py_BuildValue(
      "{s:K,s:K,s:K,s:K,s:K,s:K,s:K,s:I,s:I,s:K}", "touched", counts.touched, "messages",
      counts.messages, "failed", counts.failed, "service_ns", counts.service_ns, "pending",
      counts.pending, "allocations", u64(self->core->allocations), "bytes", u64(self->core->bytes),
      "ring", self->core->ring.view.index, "index", self->core->index, "idle_ns", counts.idle_ns);
}

// (packed counts, p50, p99) of service times; percentiles of what was counted since `older`, which
// an earlier call gave, or None. None where nothing was.
PyObject* service(PyObject* object, PyObject* older) {
  GrainObject* self = as(object);
  std::span<const u64> before;
  if (older != Py_None) {
    char* data;
    Py_ssize_t bytes;
    if (PyBytes_AsStringAndSize(older, &data, &bytes) < 0) return nullptr;
    before = {reinterpret_cast<const u64*>(data), size_t(bytes) / sizeof(u64)};
  }
  const std::vector<u64> now = self->core->ring.service_counts(*self->core);
  const CountsBetween between(now, before);
  const Py_ssize_t bytes = Py_ssize_t(now.size() * sizeof(u64));
  if (between.total() == 0) return Py_BuildValue("y#OO", now.data(), bytes, Py_None, Py_None);
  return Py_BuildValue("y#KK", now.data(), bytes, between.percentile(50), between.percentile(99));
}

PyObject* disown(PyObject* object, PyObject*) {  // the manager closes
  while (ResidentArrayObject* array = as(object)->first) unlink(array);
  Py_CLEAR(as(object)->manager);
  Py_RETURN_NONE;
}

PyObject* use_dtype(PyObject* object, PyObject* dtype) {  // allocate()'s default from here on
  if (!PyArray_DescrCheck(dtype)) return PyErr_Format(PyExc_TypeError, "not a dtype");
  PyArray_Descr* old = as(object)->dtype;
  as(object)->dtype = reinterpret_cast<PyArray_Descr*>(Py_NewRef(dtype));
  Py_DECREF(old);
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
  Grain* core;
  // A launch under way may hold the lock that a dedicated ring needs.
  Py_BEGIN_ALLOW_THREADS core = core_engine->make_grain(dedicated);
  Py_END_ALLOW_THREADS if (!core) return raise_hook("no_ring", "(OI)", key,
                                                    core_engine->ring_count());
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

// A manager, its grains and their named handles hold each other: together they go by the collector.
int traverse(PyObject* object, visitproc visit, void* arg) {
  Py_VISIT(as(object)->manager);
  Py_VISIT(Py_TYPE(object));
  return 0;
}

void dealloc(PyObject* object) {
  GrainObject* self = as(object);
  PyObject_GC_UnTrack(object);
  if (self->weakrefs) PyObject_ClearWeakRefs(object);
  PyTypeObject* type = Py_TYPE(object);
  Py_XDECREF(self->manager);
  Py_XDECREF(self->key);
  Py_XDECREF(self->kernels);
  for (PyObject* name : self->noted) Py_XDECREF(name);
  Py_XDECREF(reinterpret_cast<PyObject*>(self->dtype));
  if (self->engine) self->engine->release();
  type->tp_free(object);
  Py_DECREF(type);
}

#define GPURES_FAST(function) reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function))

PyMethodDef methods[] = {
    {"_allocate", GPURES_FAST(grain_allocate), METH_FASTCALL | METH_KEYWORDS, nullptr},
#include "python/grain_docs.inc"
    {"_live", live, METH_NOARGS, nullptr},
    {"_hold", grain_hold, METH_NOARGS, nullptr},
    {"_unhold", grain_unhold, METH_NOARGS, nullptr},
    {"_join_stream", grain_join_stream, METH_O, nullptr},
    {"_counts", counts, METH_NOARGS, nullptr},
    {"_service", service, METH_O, nullptr},
    {"_disown", disown, METH_NOARGS, nullptr},
    {"_use_dtype", use_dtype, METH_O, nullptr},
    {"_begin_record", grain_begin_record, METH_O, nullptr},
    {"_end_record", grain_end_record, METH_NOARGS, nullptr},
    {"_refuse_in_record", grain_refuse_in_record, METH_O, nullptr},
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
                       {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
                       {Py_tp_methods, methods},
                       {Py_tp_getset, getset},
                       {Py_tp_members, members},
                       {0, nullptr}};
PyType_Spec spec = {"gpures_lab._core._native.GrainBase", sizeof(GrainObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

bool add_grain_type(PyObject* module) {
  grain_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  if (!grain_type) return false;
  for (PyMethodDef* method = residency_methods; method->ml_name; ++method) {
    PyObject* function = PyDescr_NewMethod(grain_type, method);
    if (!function || PyObject_SetAttrString(reinterpret_cast<PyObject*>(grain_type),
                                            method->ml_name, function) != 0) {
      return false;
    }
    Py_DECREF(function);
  }
  return PyModule_AddObjectRef(module, "GrainBase", reinterpret_cast<PyObject*>(grain_type)) == 0;
}

}  // namespace gpures::python
