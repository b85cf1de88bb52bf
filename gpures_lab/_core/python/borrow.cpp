// `with grain.borrow()`: holding a grain's later messages back, and letting go.
#include "python/objects.hpp"

namespace gpures::python {

namespace {

GrainObject* as(PyObject* self) { return reinterpret_cast<GrainObject*>(self); }

}  // namespace

// _hold(): returns when earlier messages are done and this thread holds later ones back.
PyObject* grain_hold(PyObject* object, PyObject*) {
  GrainObject* self = as(object);
  const Busy busy(self);
  if (!check_open(self)) return nullptr;
  RingHost& ring = self->core->ring;
  const u64 thread = PyThread_get_thread_ident();
  const bool quiesced = is_quiesced_here(self);  // then it is now or never
  const u64 slice = quiesced ? 0 : 50'000'000;
  auto held = RingHost::Hold::kLater;
  while (held == RingHost::Hold::kLater) {  // queued messages of an earlier hold go first
    Py_BEGIN_ALLOW_THREADS self->engine->wait_until(ring, slice, [&] {
      return (held = ring.try_hold(*self->core, thread)) != RingHost::Hold::kLater;
    });
    Py_END_ALLOW_THREADS if (held != RingHost::Hold::kLater) break;
    if (interrupted(self)) return nullptr;
    if (quiesced) return raise_hook("quiesced", "(O)", self->key);
  }
  if (held == RingHost::Hold::kNever) return raise_hook("borrowed", "(O)", self->key);
  bool idle = false;
  while (!idle) {
    Py_BEGIN_ALLOW_THREADS self->engine->wait_until(
        ring, slice, [&] { return idle = ring.is_idle(*self->core); });
    Py_END_ALLOW_THREADS if (idle) break;
    const bool stopped = interrupted(self);
    if (!stopped && !quiesced) continue;
    ring.unhold(*self->core);
    return stopped ? nullptr : raise_hook("quiesced", "(O)", self->key);
  }
  // Idle for that its messages were answered unrun: a kernel may still be at the memory.
  if (ring.is_closed()) {
    ring.unhold(*self->core);
    return raise_refused(self, ring.close_cause());
  }
  self->borrower = PyThread_get_thread_ident();
  Py_RETURN_NONE;
}

PyObject* grain_unhold(PyObject* object, PyObject*) {
  GrainObject* self = as(object);
  if (self->core->ring.unhold(*self->core)) self->borrower = 0;
  Py_RETURN_NONE;
}

// _join_stream(address): before _unhold(), what is queued on that stream of a device. 0, or the
// driver's error.
PyObject* grain_join_stream(PyObject* object, PyObject* address) {
  GrainObject* self = as(object);
  const unsigned long long stream = PyLong_AsUnsignedLongLong(address);
  if (PyErr_Occurred()) return nullptr;
  u64 why = 0;
  Py_BEGIN_ALLOW_THREADS self->engine->join_stream(*self->core, stream, why);
  Py_END_ALLOW_THREADS return PyLong_FromUnsignedLongLong(why);
}

}  // namespace gpures::python
