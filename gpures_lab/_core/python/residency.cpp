// What the host does for a grain besides posting its messages: hold it for a checkpoint, take its
// memory away and give it back (deactivation), and promise an answer. Copies: contents.cpp.
//
// A deactivated grain is `asleep`: its handles live on with a block of kNone. Every public call
// looks at that under the GIL (check_open) and wakes the grain first; a call under way (Busy)
// keeps it awake.
#include <memory>

#include "python/objects.hpp"

namespace gpures::python {

namespace {

GrainObject* as(PyObject* self) { return reinterpret_cast<GrainObject*>(self); }

// _begin_cut(): later messages are held back until _end_cut(). False: others hold the grain now.
PyObject* begin_cut(PyObject* object, PyObject*) {
  GrainObject* self = as(object);
  if (!is_open(self)) return nullptr;
  if (self->borrower == PyThread_get_thread_ident()) {
    return raise_hook("borrowed", "(O)", self->key);
  }
  const auto held = self->core->ring.try_hold(*self->core, kCut);
  // Inside the window nothing moves that it could wait for.
  if (held != RingHost::Hold::kDone && is_quiesced_here(self)) {
    return raise_hook("quiesced", "(O)", self->key);
  }
  return PyBool_FromLong(held == RingHost::Hold::kDone);
}

// _is_borrowed(): somebody is inside `with grain.borrow()`, who need never leave it.
PyObject* is_borrowed(PyObject* object, PyObject*) {
  return PyBool_FromLong(as(object)->borrower != 0);
}

// _mark(): a place behind every message posted so far; an error inside a borrow of this thread.
PyObject* mark(PyObject* object, PyObject*) {
  GrainObject* self = as(object);
  if (!is_open(self)) return nullptr;
  if (self->borrower == PyThread_get_thread_ident()) {
    return raise_hook("borrowed", "(O)", self->key);
  }
  return PyLong_FromUnsignedLongLong(self->core->ring.posted());
}

// _is_at_rest(mark): what was posted before the mark has been answered, and nothing of the grain is
// held back, transferred or copied; or no message of it will ever move again.
PyObject* is_at_rest(PyObject* object, PyObject* place) {
  const u64 end = PyLong_AsUnsignedLongLong(place);
  if (PyErr_Occurred()) return nullptr;
  return PyBool_FromLong(as(object)->core->ring.is_at_rest(*as(object)->core, end));
}

PyObject* end_cut(PyObject* object, PyObject*) {
  as(object)->core->ring.unhold(*as(object)->core);
  Py_RETURN_NONE;
}

// _fall_asleep(idle): false while a call is under way or messages are held back; with `idle`, also
// while messages are pending or a view of an allocation is alive.
PyObject* fall_asleep(PyObject* object, PyObject* idle_object) {
  GrainObject* self = as(object);
  const int idle = PyObject_IsTrue(idle_object);
  if (idle < 0) return nullptr;
  RingHost& ring = self->core->ring;
  bool may = is_open(self) && !self->asleep && self->busy == 0;
  if (PyErr_Occurred()) return nullptr;
  if (may) ring.poll();
  may = may && ring.may_sleep(*self->core) && (!idle || ring.is_idle(*self->core));
  for (auto* array = self->first; may && idle && array; array = array->older) {
    may = array->block == kNone || !self->engine->pool->is_exported(array->block);
  }
  if (may) self->asleep = true;
  return PyBool_FromLong(may);
}

// _drop_memory(): releases the blocks of a grain that is asleep; its handles stay.
PyObject* drop_memory(PyObject* object, PyObject*) {
  GrainObject* self = as(object);
  for (auto* array = self->first; array; array = array->older) {
    if (array->block == kNone) continue;
    Outgoing message;
    fill_release(array, message);
    message.keeps_id = true;
    count_resident(array, -1);
    array->block = kNone;
    if (self->core->ring.post_always(*self->core, message)) self->engine->drop(message.request);
  }
  Py_RETURN_NONE;
}

// _give_memory(handle): a block for a handle that has none; not zeroed, so _fill comes next.
PyObject* give_memory(PyObject* object, PyObject* handle) {
  GrainObject* self = as(object);
  if (!PyObject_TypeCheck(handle, array_type)) {
    return PyErr_Format(PyExc_TypeError, "not a handle");
  }
  auto* array = reinterpret_cast<ResidentArrayObject*>(handle);
  if (!array->live || array->block != kNone) Py_RETURN_NONE;
  Outgoing message;
  message.slot.opcode = u16(Opcode::kAllocate);
  auto& payload = *reinterpret_cast<AllocateMessage*>(message.slot.payload);
  payload.zero = true;
  if (!allocate_or_raise(self, message, array->nbytes, array->arena, array->handle)) {
    return nullptr;
  }
  self->engine->drop(message.request);
  array->block = payload.block;
  count_resident(array, 1);
  Py_RETURN_NONE;
}

// _fill(handle, data): the whole allocation, from a contiguous buffer.
PyObject* fill(PyObject* object, PyObject* args) {
  PyObject* handle;
  Py_buffer data;
  if (!PyArg_ParseTuple(args, "O!y*", array_type, &handle, &data)) return nullptr;
  const auto* array = reinterpret_cast<ResidentArrayObject*>(handle);
  Request* request = nullptr;
  if (u64(data.len) != array->nbytes || array->block == kNone) {
    PyErr_SetString(PyExc_ValueError, "another size than the allocation's, or no memory");
  } else {
    request = transfer_in_chunks(as(object), Opcode::kWrite, array, 0, array->nbytes,
                                 static_cast<const u8*>(data.buf), nullptr, nullptr);
  }
  PyBuffer_Release(&data);
  if (!request) return nullptr;
  return make_completion(as(object), request, Outcome::kNone, nullptr);
}

PyObject* wake_up(PyObject* object, PyObject*) {
  as(object)->asleep = false;
  Py_RETURN_NONE;
}

// _forget(): the handles of a grain that is asleep die.
PyObject* forget(PyObject* object, PyObject*) {
  GrainObject* self = as(object);
  while (ResidentArrayObject* array = self->first) {
    if (array->block == kNone) self->core->ring.forget_handle(array->handle);
    unlink(array);
  }
  self->asleep = false;
  Py_RETURN_NONE;
}

// _promise(opcode): a completion that _settle answers; no message stands behind it.
PyObject* promise(PyObject* object, PyObject* opcode) {
  GrainObject* self = as(object);
  if (!is_open(self)) return nullptr;
  const unsigned long number = PyLong_AsUnsignedLong(opcode);
  if (PyErr_Occurred()) return nullptr;
  return make_completion(self, self->core->ring.new_request(*self->core, u16(number)),
                         Outcome::kHost, nullptr);
}

// Names of the kernels it was asked for, each once.
PyObject* kernels(PyObject* object, PyObject*) {
  const GrainObject* self = as(object);
  PyObject* names = PySet_New(self->kernels);
  for (PyObject* known : self->noted) {
    if (names && known && PySet_Add(names, known) != 0) Py_CLEAR(names);
  }
  PyObject* list = names ? PySequence_List(names) : nullptr;
  Py_XDECREF(names);
  return list;
}

PyObject* pin(PyObject* object, PyObject*) {
  ++as(object)->busy;
  Py_RETURN_NONE;
}

PyObject* unpin(PyObject* object, PyObject*) {
  if (as(object)->busy != 0) --as(object)->busy;
  Py_RETURN_NONE;
}

PyObject* get_asleep(PyObject* object, PyObject*) { return PyBool_FromLong(as(object)->asleep); }

}  // namespace

// Most grains are asked for few kernels: those need no set.
void note_kernel(GrainObject* grain, PyObject* name) {
  for (PyObject*& known : grain->noted) {
    if (known == name) return;
    if (!known) {
      known = Py_NewRef(name);
      return;
    }
  }
  if (!grain->kernels) grain->kernels = PySet_New(nullptr);
  if (!grain->kernels || PySet_Add(grain->kernels, name) != 0) PyErr_Clear();
}

PyMethodDef residency_methods[] = {{"_read_all", grain_read_all, METH_VARARGS, nullptr},
                                   {"_begin_cut", begin_cut, METH_NOARGS, nullptr},
                                   {"_is_borrowed", is_borrowed, METH_NOARGS, nullptr},
                                   {"_mark", mark, METH_NOARGS, nullptr},
                                   {"_is_at_rest", is_at_rest, METH_O, nullptr},
                                   {"_end_cut", end_cut, METH_NOARGS, nullptr},
                                   {"_fall_asleep", fall_asleep, METH_O, nullptr},
                                   {"_drop_memory", drop_memory, METH_NOARGS, nullptr},
                                   {"_give_memory", give_memory, METH_O, nullptr},
                                   {"_fill", fill, METH_VARARGS, nullptr},
                                   {"_wake_up", wake_up, METH_NOARGS, nullptr},
                                   {"_forget", forget, METH_NOARGS, nullptr},
                                   {"_promise", promise, METH_O, nullptr},
                                   {"_kernels", kernels, METH_NOARGS, nullptr},
                                   {"_pin", pin, METH_NOARGS, nullptr},
                                   {"_unpin", unpin, METH_NOARGS, nullptr},
                                   {"_is_asleep", get_asleep, METH_NOARGS, nullptr},
                                   {nullptr, nullptr, 0, nullptr}};

}  // namespace gpures::python
