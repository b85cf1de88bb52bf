// The contents of a grain as of one moment, for checkpoints and deactivation: whoever asks keeps
// its later messages away meanwhile (a cut, or asleep).
//
// It is copied past the ring, once every message that was posted before has been answered: as
// messages, 100 MiB made each round trip of other grains wait for up to two parts of 256 KiB. Host
// memory by the calling thread; a device's by copies on the stream of the reads, through staging.
#include <cstring>

#include "python/objects.hpp"

namespace gpures::python {

namespace {

constexpr u32 kPartsInFlight = 4;  // of a staging chunk each; other reads want some too
constexpr u64 kNoLimit = ~u64(0);
constexpr u64 kCopyBytes = 16 << 20;  // between two looks for Ctrl-C

// Why there are no contents: an exception is set, unless a signal's handler has.
bool refuse(GrainObject* grain, bool closed, Status status, u64 limit_ns) {
  if (closed) {
    raise_refused(grain, status);
  } else {
    raise_hook("not_at_rest", "(OKi)", grain->key, limit_ns, int(grain->core->ring.view.index));
  }
  return false;
}

// Every message posted before this call has been answered, programs of other grains that reach
// into this one among them. False: an exception is set; also if none was for so long.
bool settle(GrainObject* grain, u64 limit_ns) {
  RingHost& ring = grain->core->ring;
  // At the end a grain without messages is at rest, whatever others still run; that no program
  // reaches into it is for whoever asks to know (grain/ending.py). After a stall nothing is: what
  // was answered may still run.
  if (grain->engine->refuses() && !ring.is_closed() && ring.counts(*grain->core).pending == 0) {
    return true;
  }
  const u64 end = ring.posted();
  const bool quiesced = is_quiesced_here(grain);  // then it is now or never
  const u64 slice = quiesced ? 0 : std::min<u64>(limit_ns, 50'000'000);
  u64 since = steady_ns(), taken = 0;
  for (;;) {
    bool past = false;
    u64 now_taken = 0;
    Py_BEGIN_ALLOW_THREADS past =
        grain->engine->wait_until(ring, slice, [&] { return (now_taken = ring.taken()) >= end; });
    Py_END_ALLOW_THREADS if (ring.is_closed()) return refuse(grain, true, ring.close_cause(), 0);
    if (past) return true;
    if (interrupted(grain)) return false;
    if (quiesced) {
      raise_hook("quiesced", "(O)", grain->key);
      return false;
    }
    if (now_taken != taken) since = steady_ns();
    taken = now_taken;
    if (steady_ns() - since >= limit_ns) return refuse(grain, false, Status::kOk, limit_ns);
  }
}

bool copy(const u8* from, u8* to, u64 bytes) {
  for (u64 at = 0; at < bytes; at += kCopyBytes) {
    Py_BEGIN_ALLOW_THREADS std::memcpy(to + at, from + at, std::min(kCopyBytes, bytes - at));
    Py_END_ALLOW_THREADS if (PyErr_CheckSignals() != 0) return false;
  }
  return true;
}

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
  engine.look_at(*part.request);
  engine.drop(part.request);
}

// Every byte of an allocation in a device's memory, a few parts at a time, copied out of staging
// without the ring's lock. False: an exception is set.
bool read_by_streams(GrainObject* grain, const ResidentArrayObject* array, u8* to) {
  Engine& engine = *grain->engine;
  RingHost& ring = grain->core->ring;
  Part parts[kPartsInFlight];
  u32 first = 0, count = 0;
  u64 sent = 0, since = steady_ns();
  Status status = Status::kOk;
  bool closed = false, interrupted = false;
  const u64 device = reinterpret_cast<u64>(engine.pool->base(array->block));
  while (status == Status::kOk && !closed && !interrupted && (count != 0 || sent < array->nbytes)) {
    bool late = false;
    Py_BEGIN_ALLOW_THREADS while (count < kPartsInFlight && sent < array->nbytes) {
      const u32 chunk = engine.take_chunk();
      if (chunk == kNoChunk) break;
      const u64 bytes = std::min(array->nbytes - sent, kStagingChunkBytes);
      Outgoing message;
      message.slot.opcode = u16(Opcode::kRead);
      message.request = ring.new_request(*grain->core, message.slot.opcode);
      message.request->parts = 1;
      auto work = engine.new_work(WorkKind::kCopyOut);
      work->to = reinterpret_cast<u64>(engine.chunk(chunk));
      work->from = device + sent;
      work->bytes = bytes;
      work->is_message = false;
      if (!ring.post_passing(*grain->core, message, work)) {
        engine.return_chunk(chunk);
        ring.abandon_parts(*message.request, 1, ring.close_cause());
        engine.look_at(*message.request);
        engine.drop(message.request);
        closed = true;
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
        engine.look_at(*part.request);
        engine.drop(part.request);
        first = (first + 1) % kPartsInFlight;
        --count;
        since = steady_ns();
      }
    } else if (!closed) {
      engine.wait_until(ring, 1'000'000, [] { return false; });  // no chunk is free yet
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
  return refuse(grain, closed || status != Status::kOk,
                status == Status::kOk ? ring.close_cause() : status, grain->full_wait_ns);
}

}  // namespace

// _read_all([(handle, out), …], patient=False): each `out` is a contiguous uint8 buffer of the
// allocation's bytes. Earlier messages are waited for: `full_wait_s` without progress, or, when
// patient, as long as they take.
PyObject* grain_read_all(PyObject* object, PyObject* args) {
  auto* grain = reinterpret_cast<GrainObject*>(object);
  PyObject* pairs;
  int patient = 0;
  if (!PyArg_ParseTuple(args, "O!|p", &PyList_Type, &pairs, &patient)) return nullptr;
  if (!is_open(grain)) return nullptr;
  const bool on_device = grain->engine->on_device();
  // Nothing is started on a stream inside the window.
  if (on_device && is_quiesced_here(grain)) return raise_hook("quiesced", "(O)", grain->key);
  if (!settle(grain, patient ? kNoLimit : grain->full_wait_ns)) return nullptr;
  for (Py_ssize_t n = 0; n < PyList_GET_SIZE(pairs); ++n) {
    PyObject* handle;
    Py_buffer out;
    if (!PyArg_ParseTuple(PyList_GET_ITEM(pairs, n), "O!w*", array_type, &handle, &out)) {
      return nullptr;
    }
    const auto* array = reinterpret_cast<ResidentArrayObject*>(handle);
    bool done = false;
    if (array->grain != grain || !array->live || array->block == kNone ||
        u64(out.len) != array->nbytes) {
      PyErr_SetString(PyExc_ValueError, "not an allocation of this grain, or another size");
    } else if (!on_device || array->arena != 0) {  // pinned memory is the host's
      done =
          copy(grain->engine->pool->base(array->block), static_cast<u8*>(out.buf), array->nbytes);
    } else {
      done = read_by_streams(grain, array, static_cast<u8*>(out.buf));
    }
    PyBuffer_Release(&out);
    if (!done) return nullptr;
  }
  Py_RETURN_NONE;
}

}  // namespace gpures::python
