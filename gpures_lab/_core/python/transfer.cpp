// Write and Read: what fits a page in one message, more in staging chunks.
#include <cstring>

#include "python/objects.hpp"

namespace gpures::python {

namespace {

// An int that is no bool, or null for `otherwise`; false: none, or beyond 64 bits.
bool index_of(PyObject* object, i64 otherwise, i64& number) {
  number = otherwise;
  if (!object || object == Py_None) return true;
  if (PyBool_Check(object) || !PyIndex_Check(object)) return false;
  number = PyLong_AsLongLong(object);
  if (number != -1 || !PyErr_Occurred()) return true;
  PyErr_Clear();
  return false;
}

// Elements [offset, offset + count) of the handle; false: OutOfBounds or InvalidOption is set. As
// for slices of NumPy, an empty one may begin at the end.
bool range_of(ResidentArrayObject* array, PyObject* count_object, PyObject* offset_object,
              i64& offset, i64& count) {
  if (index_of(offset_object, 0, offset) && offset >= 0 &&
      index_of(count_object, array->size - offset, count) && count >= 0 && count <= array->size &&
      offset <= array->size - count) {
    return true;
  }
  raise_hook("bad_range", "(OOO)", reinterpret_cast<PyObject*>(array),
             offset_object ? offset_object : Py_None, count_object ? count_object : Py_None);
  return false;
}

}  // namespace

Request* transfer_in_chunks(GrainObject* grain, Opcode opcode, const ResidentArrayObject* array,
                            u64 offset, u64 bytes, const u8* from, u8* to, PyObject* target) {
  Engine& engine = *grain->engine;
  RingHost& ring = grain->core->ring;
  const bool dma = bytes > engine.options().dma_above_bytes && array->arena == 0;
  const u32 parts = u32((bytes + kStagingChunkBytes - 1) / kStagingChunkBytes);
  const bool quiesced = is_quiesced_here(grain);  // nothing makes room then
  if (quiesced) {
    const u64 room = std::min<u64>(ring.view.slot_count - ring.in_slots(), engine.chunks_left());
    if (room != 0 && room < parts) {  // else it is RingFull, with nothing begun
      raise_hook("quiesced", "(O)", grain->key);
      return nullptr;
    }
  }
  drain_graveyard(engine);
  if (engine.not_started()) engine.start();
  Request* request = ring.new_request(*grain->core, u16(opcode));
  request->parts = parts;
  u32 sent = 0;
  bool started = false, interrupted = false;
  Post posted = Post::kPosted;
  u64 since = steady_ns();
  while (sent < parts && !interrupted) {
    Py_BEGIN_ALLOW_THREADS
        // Until the first part is in, full_wait bounds the wait; after it, the ring's progress
        // does.
        if (!started) {
      started = engine.wait_until(ring, std::min<u64>(grain->full_wait_ns, 50'000'000),
                                  [&] { return ring.begin_parts(*grain->core); });
    }
    while (started && sent < parts) {
      const u32 chunk = engine.take_chunk();
      if (chunk == kNoChunk) break;
      const u64 at = u64(sent) * kStagingChunkBytes;
      const u64 size = std::min(bytes - at, kStagingChunkBytes);
      if (from) std::memcpy(engine.chunk(chunk), from + at, size);
      Outgoing message;
      message.slot.opcode = u16(opcode);
      auto& payload = *reinterpret_cast<TransferMessage*>(message.slot.payload);
      payload = {array->handle, offset + at, size, kStaging, chunk, 0};
      message.request = request;
      message.chunk = chunk;
      if (to) {
        message.destination = to + at;
        message.destination_bytes = u32(size);
      }
      if (dma) {
        const u64 device = reinterpret_cast<u64>(engine.pool->base(array->block)) + offset + at;
        const u64 staging = reinterpret_cast<u64>(engine.chunk(chunk));
        auto work = engine.new_work(from ? WorkKind::kCopyIn : WorkKind::kCopyOut);
        work->to = from ? device : staging;
        work->from = from ? staging : device;
        work->bytes = size;
        posted = ring.post_work(*grain->core, message, work, true);
      } else {
        posted = ring.post(*grain->core, message, true);
      }
      if (posted == Post::kPosted || posted == Post::kHeld) {
        ++sent;
        since = steady_ns();
      } else {
        engine.return_chunk(chunk);
        break;
      }
    }
    if (started && sent < parts && posted != Post::kClosed) {
      engine.wait_until(ring, 1'000'000, [] { return false; });
    }
    Py_END_ALLOW_THREADS if (posted == Post::kClosed) break;
    // A borrowed grain holds parts back without end: give up as a full ring does, with nothing
    // written.
    if (sent < parts && steady_ns() - since >= grain->full_wait_ns) {
      const bool none = sent == 0 || ring.withdraw(*grain->core, *request);
      if (none) sent = 0;
      if (none || quiesced) {
        posted = Post::kFull;
        break;
      }
    }
    interrupted = PyErr_CheckSignals() != 0;
  }
  if (started) ring.end_parts(*grain->core);
  if (sent == parts) return request;
  ring.abandon_parts(*request, parts - sent, Status::kCancelled);
  engine.look_at(*request);
  if (sent != 0) request->keep = Py_XNewRef(target);  // parts under way still write to it
  engine.drop(request);
  if (interrupted) {
    if (to) sent = 0;  // nobody has what was read
    say_interrupted(grain, to ? "bytes read" : "bytes written",
                    std::min(bytes, u64(sent) * kStagingChunkBytes), bytes);
    return nullptr;
  }
  if (posted == Post::kClosed) {
    raise_refused(grain, ring.close_cause());
  } else {
    raise_hook("ring_full", "(OKKKi)", grain->key, ring.view.slot_count, ring.pending(),
               grain->full_wait_ns, int(ring.view.index));
  }
  return nullptr;
}

PyObject* grain_write(GrainObject* grain, ResidentArrayObject* array, PyObject* data,
                      PyObject* offset_object) {
  const bool ranged = offset_object && offset_object != Py_None;
  PyArrayObject* source;
  if (PyArray_CheckExact(data) && PyArray_ISCARRAY_RO(reinterpret_cast<PyArrayObject*>(data)) &&
      PyArray_DESCR(reinterpret_cast<PyArrayObject*>(data)) == array->dtype) {
    source = reinterpret_cast<PyArrayObject*>(Py_NewRef(data));
  } else {  // casts, strides, lists, scalars, masks: through NumPy
    PyObject* function = hook("coerce");
    if (!function) return nullptr;
    PyObject* coerced =
        PyObject_CallFunctionObjArgs(function, reinterpret_cast<PyObject*>(array), data, nullptr);
    Py_DECREF(function);
    if (!coerced) return nullptr;
    if (!PyArray_Check(coerced)) {
      Py_DECREF(coerced);
      PyErr_SetString(PyExc_SystemError, "coerce() did not return an array");
      return nullptr;
    }
    source = reinterpret_cast<PyArrayObject*>(coerced);
    // Data that is the handle's own read, say, must not outlive a release meanwhile.
    if (!check_array(grain, reinterpret_cast<PyObject*>(array))) {
      Py_DECREF(source);
      return nullptr;
    }
  }
  const i64 size = PyArray_SIZE(source);
  const u64 item = u64(PyDataType_ELSIZE(array->dtype));
  const bool fill = PyArray_NDIM(source) == 0 && !ranged && array->size != 1;
  i64 offset = 0, count = size;
  if (fill) {
    count = array->size;
  } else if (ranged || size != array->size) {
    if (!ranged) {
      raise_hook("wrong_size", "(OO)", reinterpret_cast<PyObject*>(array), data);
      Py_DECREF(source);
      return nullptr;
    }
    PyObject* count_object = PyLong_FromLongLong(size);
    const bool good = count_object && range_of(array, count_object, offset_object, offset, count);
    Py_XDECREF(count_object);
    if (!good) {
      Py_DECREF(source);
      return nullptr;
    }
  }
  const u64 bytes = u64(count) * item;
  Request* request;
  if (fill || bytes <= kPageBytes) {
    Outgoing message;
    message.slot.opcode = u16(Opcode::kWrite);
    auto& payload = *reinterpret_cast<TransferMessage*>(message.slot.payload);
    payload = {array->handle, u64(offset) * item, bytes, fill ? u32(kFill) : u32(kPage), 0, item};
    message.page = PyArray_DATA(source);
    message.page_bytes = u32(fill ? item : bytes);
    if (is_recording()) [[unlikely]] {
      const bool recorded = record_step(grain, message, &array, 1, nullptr, nullptr, nullptr);
      Py_DECREF(source);
      if (!recorded) return nullptr;
      Py_RETURN_NONE;
    }
    if (fill && fills_wide(*grain->engine, array->arena, bytes, item)) {
      auto work = fill_work(*grain->engine, array->block, 0, bytes, message.page, item);
      message.page_bytes = 0;
      request = post_work_or_raise(grain, message, std::move(work)) ? message.request : nullptr;
    } else {
      request = post_or_raise(grain, message) ? message.request : nullptr;
    }
  } else if (is_recording()) {
    refuse_to_record("write");
    request = nullptr;
  } else {
    request = transfer_in_chunks(grain, Opcode::kWrite, array, u64(offset) * item, bytes,
                                 static_cast<const u8*>(PyArray_DATA(source)), nullptr, nullptr);
  }
  Py_DECREF(source);
  if (!request) return nullptr;
  return make_completion(grain, request, Outcome::kNone, nullptr);
}

PyObject* grain_read(GrainObject* grain, ResidentArrayObject* array, PyObject* count_object,
                     PyObject* offset_object, PyObject* out) {
  if (is_recording()) [[unlikely]] {
    refuse_to_record("read");
    return nullptr;
  }
  i64 offset = 0, count = -1;
  const bool ranged =
      (count_object && count_object != Py_None) || (offset_object && offset_object != Py_None);
  if (!ranged) {
    count = array->size;
  } else if (!range_of(array, count_object, offset_object, offset, count)) {
    return nullptr;
  }
  PyArrayObject* target;
  if (out && out != Py_None) {
    target = reinterpret_cast<PyArrayObject*>(out);
    if (!PyArray_Check(out) || PyArray_DESCR(target) != array->dtype || !PyArray_ISCARRAY(target) ||
        PyArray_SIZE(target) != count) {
      PyObject* function = hook("check_out");  // raises, or accepts an equal dtype object
      if (!function) return nullptr;
      PyObject* good =
          PyObject_CallFunction(function, "OOL", reinterpret_cast<PyObject*>(array), out, count);
      Py_DECREF(function);
      if (!good) return nullptr;
      Py_DECREF(good);
    }
    Py_INCREF(out);
  } else {
    npy_intp dims[NPY_MAXDIMS];
    int ndim = 1;
    dims[0] = count;
    if (!ranged && array->shape) {
      ndim = array->ndim;
      for (int d = 0; d < ndim; ++d) {
        dims[d] = PyLong_AsSsize_t(PyTuple_GET_ITEM(array->shape, d));
      }
    }
    Py_INCREF(array->dtype);
    target = reinterpret_cast<PyArrayObject*>(PyArray_NewFromDescr(
        &PyArray_Type, array->dtype, ndim, dims, nullptr, nullptr, 0, nullptr));
    if (!target) return nullptr;
  }
  const u64 item = u64(PyDataType_ELSIZE(array->dtype));
  const u64 bytes = u64(count) * item;
  Request* request;
  if (bytes <= kPageBytes) {
    Outgoing message;
    message.slot.opcode = u16(Opcode::kRead);
    auto& payload = *reinterpret_cast<TransferMessage*>(message.slot.payload);
    payload = {array->handle, u64(offset) * item, bytes, kPage, 0, 0};
    message.destination = PyArray_DATA(target);
    message.destination_bytes = u32(bytes);
    request = post_or_raise(grain, message) ? message.request : nullptr;
  } else {
    request = transfer_in_chunks(grain, Opcode::kRead, array, u64(offset) * item, bytes, nullptr,
                                 static_cast<u8*>(PyArray_DATA(target)),
                                 reinterpret_cast<PyObject*>(target));
  }
  if (!request) {
    Py_DECREF(target);
    return nullptr;
  }
  return make_completion(grain, request, Outcome::kValue, reinterpret_cast<PyObject*>(target));
}

}  // namespace gpures::python
