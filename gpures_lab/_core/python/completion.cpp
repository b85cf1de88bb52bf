// Completion: made in native code, waited for without the GIL.
#include "python/objects.hpp"
#include "shared/words.hpp"
#include "structmember.h"

namespace gpures::python {

PyTypeObject* completion_type = nullptr;

PyObject* make_completion(GrainObject* grain, Request* request, Outcome outcome, PyObject* value,
                          bool cache_hit) {
  auto* self = PyObject_New(CompletionObject, completion_type);
  if (!self) {
    grain->engine->drop(request);
    Py_XDECREF(value);
    return nullptr;
  }
  Py_INCREF(grain);
  self->request = request;
  self->grain = grain;
  self->value = value;
  self->outcome = outcome;
  self->cache_hit = cache_hit;
  self->weakrefs = nullptr;
  return reinterpret_cast<PyObject*>(self);
}

void drain_graveyard(Engine& engine) {
  Request* request = engine.take_graveyard();
  while (request) {
    Request* next = request->next;
    Py_XDECREF(static_cast<PyObject*>(request->keep));
    request->keep = nullptr;
    engine.recycle(request);
    request = next;
  }
}

namespace {

// A time, or None where no clock gave one.
PyObject* measured(u64 ns) {
  return ns == kUnmeasured ? Py_NewRef(Py_None) : PyLong_FromUnsignedLongLong(ns);
}
const char* driver_name(const CompletionObject* completion) {
  return completion->grain->engine->on_device() ? "cuda" : "host";
}

CompletionObject* as(PyObject* self) { return reinterpret_cast<CompletionObject*>(self); }

// A Read's array must outlive the request, which still writes to it; so must a run's program, whose
// memory and handles are read.
void dealloc(PyObject* object) {
  CompletionObject* self = as(object);
  if (self->weakrefs) PyObject_ClearWeakRefs(object);
  Engine& engine = *self->grain->engine;
  if (!engine.forked()) {
    const bool needed = self->outcome == Outcome::kValue || self->outcome == Outcome::kRun;
    if (needed && self->value && !self->request->answered()) {
      self->request->keep = self->value;
      self->value = nullptr;
    }
    engine.drop(self->request);
  }
  Py_XDECREF(self->value);
  Py_DECREF(self->grain);
  PyTypeObject* type = Py_TYPE(object);
  PyObject_Free(object);
  Py_DECREF(type);
}

// Whether it is held back by a borrow of this very thread: waiting would never end.
bool blocked(const CompletionObject* self) {
  return self->outcome != Outcome::kHost &&
         self->request->position.load(std::memory_order_acquire) == kNoPosition &&
         !self->request->answered() && self->grain->borrower == PyThread_get_thread_ident();
}

// Whether a quiesced window of this very thread keeps it from being answered.
bool quiesced(const CompletionObject* self) {
  Engine& engine = *self->grain->engine;
  if (self->outcome == Outcome::kHost || engine.forked() ||
      !engine.is_quiesced_by(PyThread_get_thread_ident())) {
    return false;
  }
  self->grain->core->ring.poll();
  return !self->request->answered();
}

// 1 answered, 0 out of time, -1 an exception (a signal handler's) is set.
int wait(CompletionObject* self, u64 limit_ns) {
  Request& request = *self->request;
  if (request.answered()) return 1;
  GrainObject* grain = self->grain;
  Engine& engine = *grain->engine;
  if (!is_open(grain) && !request.answered()) return -1;
  PyErr_Clear();
  const u64 begin = steady_ns();
  for (;;) {
    if (blocked(self)) {
      raise_hook("borrowed", "(O)", grain->key);
      return -1;
    }
    if (limit_ns == ~u64{0} && quiesced(self)) {
      raise_hook("quiesced", "(O)", grain->key);
      return -1;
    }
    const u64 spent = steady_ns() - begin;
    if (spent >= limit_ns && limit_ns != ~u64{0}) {
      engine.ring(grain->core->ring.view.index).poll();
      return request.answered() ? 1 : 0;
    }
    const u64 slice = std::min<u64>(50'000'000, limit_ns - std::min(spent, limit_ns));
    bool answered;
    Py_BEGIN_ALLOW_THREADS answered = engine.wait(request, slice);
    Py_END_ALLOW_THREADS if (answered) return 1;
    if (PyErr_CheckSignals() != 0) {  // Ctrl-C ends the wait, not the work
      if (PyErr_ExceptionMatches(PyExc_KeyboardInterrupt)) {
        PyErr_Clear();
        raise_hook("interrupted", "(K)", request.id);
      }
      return -1;
    }
  }
}

PyObject* value_of(CompletionObject* self) {
  Request& request = *self->request;
  if (request.status != Status::kOk && !self->grain->engine->forked()) [[unlikely]] {
    self->grain->engine->look_at(request);
  }
  drain_graveyard(*self->grain->engine);
  if (self->outcome == Outcome::kHost && request.status == Status::kHostFailed) {
    // A copy: a traceback in ours would hold the frames that hold us, which nothing collects.
    return raise_hook("again", "(O)", self->value);
  }
  if (request.status != Status::kOk) {
    return raise_hook("failure", "(O)", reinterpret_cast<PyObject*>(self));
  }
  switch (self->outcome) {
    case Outcome::kNone:
      break;
    case Outcome::kValue:
    case Outcome::kHost:
      return Py_NewRef(self->value);
    case Outcome::kRun: {
      PyObject* function = hook("run_result");
      if (!function) return nullptr;
      PyObject* result = PyObject_CallFunction(function, "OKKNKs", self->value, request.value,
                                               request.service_ns, measured(request.queue_ns),
                                               request.round_trip_ns, driver_name(self));
      Py_DECREF(function);
      return result;
    }
    case Outcome::kCompute: {
      PyObject* function = hook("compute_result");
      if (!function) return nullptr;
      PyObject* result = PyObject_CallFunction(
          function, "KNKOOs", request.service_ns, measured(request.queue_ns), request.round_trip_ns,
          self->value, self->cache_hit ? Py_True : Py_False, driver_name(self));
      Py_DECREF(function);
      return result;
    }
  }
  Py_RETURN_NONE;
}

// Seconds of `timeout` in nanoseconds; false: an exception is set.
bool limit_of(PyObject* timeout, u64& limit_ns) {
  limit_ns = ~u64{0};
  if (!timeout || timeout == Py_None) return true;
  const double seconds = PyBool_Check(timeout) ? -1.0 : PyFloat_AsDouble(timeout);
  if (!(seconds >= 0)) {
    PyErr_Clear();
    raise_hook("bad_timeout", "(O)", timeout);
    return false;
  }
  if (seconds < 1e9) limit_ns = u64(seconds * 1e9);
  return true;
}

PyObject* result(PyObject* object, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  static const char* const keywords[] = {"timeout"};
  PyObject* slots[1];
  if (!parse("result", args, count, names, keywords, 1, 0, 1, slots)) return nullptr;
  u64 limit_ns;
  if (!limit_of(slots[0], limit_ns)) return nullptr;
  const int waited = wait(as(object), limit_ns);
  if (waited < 0) return nullptr;
  if (waited == 0) return raise_hook("timed_out", "(OO)", object, slots[0]);
  return value_of(as(object));
}

PyObject* exception(PyObject* object, PyObject* const* args, Py_ssize_t count, PyObject* names) {
  PyObject* value = result(object, args, count, names);
  if (value) {
    Py_DECREF(value);
    Py_RETURN_NONE;
  }
  if (!as(object)->request->answered()) return nullptr;  // timeout, Ctrl-C
  PyObject *type, *error, *traceback;
  PyErr_Fetch(&type, &error, &traceback);
  PyErr_NormalizeException(&type, &error, &traceback);
  Py_XDECREF(type);
  Py_XDECREF(traceback);
  return error;
}

PyObject* done(PyObject* object, PyObject*) {
  CompletionObject* self = as(object);
  if (!self->request->answered() && !self->grain->engine->forked()) {
    self->grain->core->ring.poll();
  }
  return PyBool_FromLong(self->request->answered());
}

PyObject* await(PyObject* object) {
  PyObject* function = hook("awaiting");
  if (!function) return nullptr;
  PyObject* generator = PyObject_CallOneArg(function, object);
  Py_DECREF(function);
  return generator;
}

// For the event loop: write to `descriptor` when answered, -1 to take it back.
// Returns "set", "answered", or "taken" when another loop's descriptor is there already.
PyObject* notify(PyObject* object, PyObject* descriptor) {
  const int fd = int(PyLong_AsLong(descriptor));
  if (fd == -1 && PyErr_Occurred()) return nullptr;
  CompletionObject* self = as(object);
  if (self->request->answered()) return PyUnicode_FromString("answered");
  if (self->grain->engine->forked()) {
    return raise_hook("closed", "(OO)", self->grain->key, Py_True);
  }
  constexpr const char* names[] = {"set", "answered", "taken"};
  return PyUnicode_FromString(names[int(self->grain->core->ring.watch(*self->request, fd))]);
}

PyObject* get_request(PyObject* object, void*) {
  return PyLong_FromUnsignedLongLong(as(object)->request->id);
}
PyObject* get_grain(PyObject* object, void*) {
  return Py_NewRef(reinterpret_cast<PyObject*>(as(object)->grain));
}
PyObject* get_blocked(PyObject* object, void*) { return PyBool_FromLong(blocked(as(object))); }
PyObject* get_quiesced(PyObject* object, void*) { return PyBool_FromLong(quiesced(as(object))); }
// Iterations of a program that are done for certain; None for other messages.
PyObject* progress(PyObject* object, PyObject*) {
  CompletionObject* self = as(object);
  const Request& request = *self->request;
  if (request.opcode != u16(Opcode::kRunProgram)) Py_RETURN_NONE;
  if (self->grain->engine->forked()) return PyLong_FromLong(0);
  const Progress& word = self->grain->core->ring.view.control->progress;
  const u64 position = HostWords::load_acquire_sys(word.position);
  const u64 iteration = HostWords::load_relaxed_sys(word.iteration);
  const u64 own = request.position.load(std::memory_order_acquire);
  if (request.answered()) return PyLong_FromUnsignedLongLong(request.value);
  const bool runs = own != kNoPosition && position == own + 1;
  return PyLong_FromUnsignedLongLong(runs ? iteration : 0);
}

PyObject* get_state(PyObject* object, void*) {  // for hooks and reprs; never waits
  Request& request = *as(object)->request;
  const bool answered = request.answered();
  PyObject* fault = PyTuple_New(8);
  if (!fault) return nullptr;
  for (int w = 0; w < 8; ++w) PyTuple_SET_ITEM(fault, w, PyLong_FromLongLong(request.fault[w]));
  return Py_BuildValue(
      "{s:O,s:i,s:i,s:K,s:N,s:K,s:K,s:I,s:I,s:O,s:O,s:O,s:N}", "answered",
      answered ? Py_True : Py_False, "opcode", int(request.opcode), "status",
      answered ? int(request.status) : -1, "value", answered ? request.value : 0, "queue_ns",
      measured(answered ? request.queue_ns : 0), "service_ns", answered ? request.service_ns : 0,
      "round_trip_ns", answered ? request.round_trip_ns : 0, "kernel_id", request.kernel,
      "failed_left", request.failed_left, "kernel",
      as(object)->outcome == Outcome::kCompute && as(object)->value ? as(object)->value : Py_None,
      "program", as(object)->outcome == Outcome::kRun ? as(object)->value : Py_None, "on_device",
      as(object)->grain->engine->on_device() ? Py_True : Py_False, "fault", fault);
}

PyObject* repr(PyObject* object) {
  PyObject* function = hook("completion_repr");
  if (!function) return nullptr;
  PyObject* text = PyObject_CallOneArg(function, object);
  Py_DECREF(function);
  return text;
}

// _settle(value, failed): answers a promise; `value` is an exception when it failed.
PyObject* settle(PyObject* object, PyObject* args) {
  CompletionObject* self = as(object);
  PyObject* value;
  int failed;
  if (!PyArg_ParseTuple(args, "Op", &value, &failed)) return nullptr;
  if (self->outcome != Outcome::kHost || self->value ||
      (failed && !PyExceptionInstance_Check(value))) {
    return PyErr_Format(PyExc_ValueError, "no promise, or answered already");
  }
  self->value = Py_NewRef(value);
  self->grain->core->ring.abandon_parts(*self->request, 1,
                                        failed ? Status::kHostFailed : Status::kOk);
  Py_RETURN_NONE;
}

PyMethodDef methods[] = {
    {"result", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(result)),
     METH_FASTCALL | METH_KEYWORDS,
     "result($self, timeout=None)\n--\n\n"
     "Wait for the answer and return it; `timeout` in seconds.\n\n"
     "Returns None (write, release, ping, barrier), the ndarray (read), a ComputeResult or a\n"
     "RunResult.\n"
     "Raises the message's error, or TimeoutError (the request stays live). Callable many times,\n"
     "from any thread. Ctrl-C ends the wait, not the work."},
    {"exception", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(exception)),
     METH_FASTCALL | METH_KEYWORDS,
     "exception($self, timeout=None)\n--\n\nWait, and return the error or None."},
    {"done", done, METH_NOARGS,
     "done($self, /)\n--\n\nWhether the answer is in; takes what has arrived, never waits."},
    {"progress", progress, METH_NOARGS,
     "progress($self, /)\n--\n\n"
     "Iterations of a program's run that are done, an int; None for other messages. Never "
     "waits.\n\n"
     "0 until it starts. While it runs the number is that of its last launch, so it lags by a\n"
     "lease (`RingOptions.lease_ms`) at most; then it is final."},
    {"_notify", notify, METH_O, nullptr},
    {"_settle", settle, METH_VARARGS, nullptr},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef getset[] = {
    {"request", get_request, nullptr, "Request number, as errors and traces show it.", nullptr},
    {"grain", get_grain, nullptr, "The grain that was asked.", nullptr},
    {"_state", get_state, nullptr, nullptr, nullptr},
    {"_blocked", get_blocked, nullptr, nullptr, nullptr},
    {"_quiesced", get_quiesced, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(CompletionObject, weakrefs), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

PyType_Slot slots[] = {
    {Py_tp_doc, const_cast<char*>("The answer to one message: result(), done(), await.")},
    {Py_tp_dealloc, reinterpret_cast<void*>(dealloc)},
    {Py_tp_methods, methods},
    {Py_tp_getset, getset},
    {Py_tp_members, members},
    {Py_tp_repr, reinterpret_cast<void*>(repr)},
    {Py_am_await, reinterpret_cast<void*>(await)},
    {0, nullptr}};

PyType_Spec spec = {"gpures_lab.Completion", sizeof(CompletionObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

}  // namespace

bool add_completion_type(PyObject* module) {
  completion_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
  return completion_type &&
         PyModule_AddObjectRef(module, "Completion",
                               reinterpret_cast<PyObject*>(completion_type)) == 0;
}

}  // namespace gpures::python
