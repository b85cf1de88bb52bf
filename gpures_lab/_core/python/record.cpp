// Recording a program, and running it: the messages of a `with grain.record()` go into a list that
// gpures_lab.ring.program turns into the program's memory; a run is one RunProgram message.
#include <cstring>

#include "python/objects.hpp"
#include "shared/ops/program.hpp"

namespace gpures::python {

namespace {

struct Recording {
  RingHost* ring = nullptr;
  PyObject* steps = nullptr;  // list; one reference
};
thread_local Recording recording;

GrainObject* as(PyObject* self) { return reinterpret_cast<GrainObject*>(self); }

}  // namespace

// _begin_record(steps): messages of this thread to the grain's ring are appended to the list.
PyObject* grain_begin_record(PyObject* object, PyObject* steps) {
  if (!check_open(as(object))) return nullptr;
  if (!PyList_CheckExact(steps)) return PyErr_Format(PyExc_TypeError, "steps is a list");
  if (recording.steps) return raise_hook("not_recordable", "(s)", "record");
  recording = {&as(object)->core->ring, Py_NewRef(steps)};
  Py_RETURN_NONE;
}

PyObject* grain_end_record(PyObject*, PyObject*) {
  recording.ring = nullptr;
  Py_CLEAR(recording.steps);
  Py_RETURN_NONE;
}

// _refuse_in_record(what): raises for a call that is no message, while this thread records.
PyObject* grain_refuse_in_record(PyObject*, PyObject* what) {
  const char* text = PyUnicode_AsUTF8(what);
  if (!text || (recording.steps && !refuse_to_record(text))) return nullptr;
  Py_RETURN_NONE;
}

// A grain that owns the programs of this grain's ring, for allocate and write.
PyObject* grain_program_store(PyObject* object, PyObject*) {
  GrainObject* self = as(object);
  if (!check_open(self)) return nullptr;
  auto* store = as(grain_type->tp_alloc(grain_type, 0));
  if (!store) return nullptr;
  self->engine->retain();
  store->engine = self->engine;
  store->core = self->engine->program_owner(self->core->ring.view.index);
  store->manager = Py_NewRef(self->manager);
  store->key = PyUnicode_FromString("programs");
  store->dtype = reinterpret_cast<PyArray_Descr*>(PyArray_DescrFromType(NPY_UINT8));
  store->full_wait_ns = self->full_wait_ns;
  return reinterpret_cast<PyObject*>(store);
}

// _run_program(program, memory, repeat, until, every, item, late, grains): `grains` are all that
// its steps change, whose contents may be copied at this moment.
PyObject* grain_run_program(PyObject* object, PyObject* args) {
  GrainObject* self = as(object);
  PyObject *program, *memory, *until, *grains;
  unsigned long long repeat, every;
  unsigned int item;
  Py_buffer late;
  if (!PyArg_ParseTuple(args, "OO!KOKIy*O!", &program, array_type, &memory, &repeat, &until, &every,
                        &item, &late, &PyTuple_Type, &grains)) {
    return nullptr;
  }
  PyObject* result = nullptr;
  const Busy busy(self);
  if (is_recording()) {
    refuse_to_record("run");
  } else if (check_open(self) && (until == Py_None || check_array(self, until))) {
    Outgoing message;
    message.slot.opcode = u16(Opcode::kRunProgram);
    auto& payload = *reinterpret_cast<RunProgramMessage*>(message.slot.payload);
    payload.program = reinterpret_cast<ResidentArrayObject*>(memory)->handle;
    payload.repeat = repeat;
    payload.until = until == Py_None ? 0 : reinterpret_cast<ResidentArrayObject*>(until)->handle;
    payload.every = every;
    payload.item = item;
    payload.late = u32(u64(late.len) / sizeof(u64));
    message.page = late.buf;
    message.page_bytes = u32(late.len);
    std::vector<Grain*> uses;
    for (Py_ssize_t n = 0; n < PyTuple_GET_SIZE(grains); ++n) {
      Grain* used = as(PyTuple_GET_ITEM(grains, n))->core;
      if (used != self->core) uses.push_back(used);
    }
    message.uses = &uses;
    if (post_or_raise(self, message)) {
      result = make_completion(self, message.request, Outcome::kRun, Py_NewRef(program));
    }
  }
  PyBuffer_Release(&late);
  return result;
}

bool is_recording() { return recording.steps != nullptr; }

bool refuse_to_record(const char* what) {
  raise_hook("not_recordable", "(s)", what);
  return false;
}

// (slot, page, handles, words to bind, parameters, the kernel's name, how many are inputs)
bool record_step(GrainObject* grain, const Outgoing& message, ResidentArrayObject* const* arrays,
                 u32 count, const KernelEntry* kernel, PyObject* name, PyObject* params,
                 u32 inputs) {
  if (&grain->core->ring != recording.ring) {
    Py_XDECREF(params);
    raise_hook("other_ring", "(O)", grain->key);
    return false;
  }
  Slot slot = message.slot;
  slot.grain = grain->core->index;
  PyObject* handles = PyTuple_New(count);
  for (u32 a = 0; handles && a < count; ++a) {
    PyTuple_SET_ITEM(handles, a, Py_NewRef(reinterpret_cast<PyObject*>(arrays[a])));
  }
  const u32 words = kernel ? 2u * kernel->arrays + Compute::shape_count(*kernel) +
                                 kernel->param_words + u32(kMaxIndices)
                           : 0u;
  if (!params) params = PyTuple_New(0);
  PyObject* step = handles && params
                       ? Py_BuildValue("y#y#NINOI", reinterpret_cast<const char*>(&slot),
                                       Py_ssize_t(sizeof(slot)),
                                       message.page ? static_cast<const char*>(message.page) : "",
                                       Py_ssize_t(message.page_bytes), handles, words, params,
                                       name ? name : Py_None, inputs)
                       : nullptr;
  if (!step) return false;
  const bool appended = PyList_Append(recording.steps, step) == 0;
  Py_DECREF(step);
  return appended;
}

}  // namespace gpures::python
