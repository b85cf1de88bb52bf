// What the host does for a grain besides posting its messages: read it as of one moment
// (checkpoint), take its memory away and give it back (deactivation), and promise an answer.
//
// A deactivated grain is `asleep`: its handles live on with a block of kNone. Every public call
// looks at that under the GIL (check_open) and wakes the grain first; a call under way (Busy)
// keeps it awake.
#include <cstring>
#include <memory>

#include "python/objects.hpp"

namespace gpures::python {

namespace {

GrainObject* as(PyObject* self) { return reinterpret_cast<GrainObject*>(self); }

// Larger parts would make other grains of the ring wait: 256 KiB is some 30 us of copying.
constexpr u64 kPartBytes = 256 << 10;
constexpr u32 kPartsInFlight = 2;
static_assert(kPartBytes <= kStagingChunkBytes);

// One part of a read under way, from its staging chunk to the host's memory.
struct Part {
  Request* request = nullptr;
  u32 chunk = kNoChunk;
  u64 at = 0, bytes = 0;
};

void return_chunk(PyObject* capsule) {
  auto* part = static_cast<std::pair<Engine*, u32>*>(PyCapsule_GetPointer(capsule, nullptr));
  part->first->return_chunk(part->second);
  part->first->release();
  delete part;
}

// The part is still the worker's: its chunk is returned once it was answered.
void leave_behind(Engine& engine, const Part& part) {
  engine.retain();
  part.request->keep =
      PyCapsule_New(new std::pair<Engine*, u32>(&engine, part.chunk), nullptr, return_chunk);
  part.request->seen = true;
  engine.drop(part.request);
}

// Every byte of the allocation, past whatever holds the grain's messages back; a few small parts
// at a time, copied out of staging without the ring's lock. False: an exception is set.
bool read_all(GrainObject* grain, const ResidentArrayObject* array, u8* to) {
  Engine& engine = *grain->engine;
  RingHost& ring = grain->core->ring;
  if (engine.not_started()) engine.start();
  Part parts[kPartsInFlight];
  u32 first = 0, count = 0;
  u64 sent = 0, since = steady_ns();
  Status status = Status::kOk;
  Post posted = Post::kPosted;
  bool interrupted = false;
  while (status == Status::kOk && posted != Post::kClosed && !interrupted &&
         (count != 0 || sent < array->nbytes)) {
    bool late = false;
    Py_BEGIN_ALLOW_THREADS while (count < kPartsInFlight && sent < array->nbytes) {
      const u32 chunk = engine.take_chunk();
      if (chunk == kNoChunk) break;
      const u64 bytes = std::min(array->nbytes - sent, kPartBytes);
      Outgoing message;
      message.slot.opcode = u16(Opcode::kRead);
      auto& payload = *reinterpret_cast<TransferMessage*>(message.slot.payload);
      payload = {array->handle, sent, bytes, kStaging, chunk, 0};
      message.passes = true;
      posted = ring.post(*grain->core, message, true);
      if (posted != Post::kPosted) {
        engine.return_chunk(chunk);
        break;
      }
      parts[(first + count++) % kPartsInFlight] = {message.request, chunk, sent, bytes};
      sent += bytes;
    }
    if (count != 0) {
      const Part& part = parts[first];
      if (engine.wait(*part.request, 50'000'000)) {
        status = part.request->status;
        if (status == Status::kOk) std::memcpy(to + part.at, engine.chunk(part.chunk), part.bytes);
        // What a stalled worker may still write to is given to nobody.
        if (status < Status::kRingStalled) engine.return_chunk(part.chunk);
        part.request->seen = true;
        engine.drop(part.request);
        first = (first + 1) % kPartsInFlight;
        --count;
        since = steady_ns();
      }
    } else if (posted != Post::kClosed) {
      engine.wait_until(ring, 1'000'000, [] { return false; });  // no room yet
    }
    late = steady_ns() - since >= grain->full_wait_ns;
    Py_END_ALLOW_THREADS interrupted = PyErr_CheckSignals() != 0;
    if (late && !interrupted && status == Status::kOk) break;
  }
  const bool whole = status == Status::kOk && count == 0 && sent == array->nbytes;
  for (; count != 0; --count) {
    leave_behind(engine, parts[first]);
    first = (first + 1) % kPartsInFlight;
  }
  if (interrupted) return false;
  if (whole) return true;
  if (status == Status::kOk && posted != Post::kClosed) {
    raise_hook("ring_full", "(OKKKi)", grain->key, ring.view.slot_count, ring.pending(),
               grain->full_wait_ns, int(ring.view.index));
  } else {
    raise_hook("refused", "(OiK)", grain->key,
               int(status == Status::kOk ? ring.close_cause() : status),
               engine.current_request(ring.view.index));
  }
  return false;
}

// _read_all(handle, out): `out` is a contiguous uint8 buffer of the allocation's bytes.
PyObject* read_all_of(PyObject* object, PyObject* args) {
  PyObject* handle;
  Py_buffer out;
  if (!PyArg_ParseTuple(args, "O!w*", array_type, &handle, &out)) return nullptr;
  const auto* array = reinterpret_cast<ResidentArrayObject*>(handle);
  bool done = false;
  if (array->grain != as(object) || !array->live || array->block == kNone ||
      u64(out.len) != array->nbytes) {
    PyErr_SetString(PyExc_ValueError, "not an allocation of this grain, or another size");
  } else if (is_open(as(object))) {
    done = read_all(as(object), array, static_cast<u8*>(out.buf));
  }
  PyBuffer_Release(&out);
  if (!done) return nullptr;
  Py_RETURN_NONE;
}

// _begin_cut(): later messages are held back until _end_cut(). False: others hold the grain now.
PyObject* begin_cut(PyObject* object, PyObject*) {
  GrainObject* self = as(object);
  if (!is_open(self)) return nullptr;
  if (self->borrower == PyThread_get_thread_ident()) {
    return raise_hook("borrowed", "(O)", self->key);
  }
  constexpr u64 kNobody = ~u64{0};  // no thread: its own borrow waits too
  return PyBool_FromLong(self->core->ring.try_hold(*self->core, kNobody) == RingHost::Hold::kDone);
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

PyMethodDef residency_methods[] = {{"_read_all", read_all_of, METH_VARARGS, nullptr},
                                   {"_begin_cut", begin_cut, METH_NOARGS, nullptr},
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
