// grain.submit(): the rows of a structured array become messages of one request, with no Python
// object a row. Everything is checked before the first message is posted.
#include <cstring>
#include <unordered_map>

#include "python/objects.hpp"

namespace gpures::python {

namespace {

// One row of gl.messages(); ring/batch.py has the dtype, tests compare the two.
struct Row {
  u32 op;
  u32 kernel;
  u64 handles[8];
  u64 offset;
  u64 count;
  double params[8];
  u64 data;
  u32 outputs;
  u32 reserved;
};
static_assert(sizeof(Row) == 168);

// What rows with the same kernel, handles and count share.
struct Template {
  const Row* row;
  const Variant* variant;
  std::vector<u64> words;
  u32 first_param;        // in words
  std::vector<u8> packs;  // dtype code a parameter
  ComputeMessage message;
};

bool same_call(const Row& a, const Row& b) {
  return a.kernel == b.kernel && a.count == b.count && a.outputs == b.outputs &&
         std::memcmp(a.handles, b.handles, sizeof(a.handles)) == 0;
}

class Batch {
 public:
  Batch(GrainObject* grain, const Row* rows, u64 count, PyArrayObject* data)
      : grain_(grain), rows_(rows), count_(count), data_(data) {
    for (auto* array = grain->first; array; array = array->older) {
      if (!array->live || Py_REFCNT(reinterpret_cast<PyObject*>(array)) == 0) continue;
      Py_INCREF(reinterpret_cast<PyObject*>(array));  // compiling a kernel runs Python
      live_.emplace(array->handle, array);
    }
  }
  Batch(const Batch&) = delete;
  ~Batch() {
    for (auto& [handle, array] : live_) Py_DECREF(reinterpret_cast<PyObject*>(array));
    Py_XDECREF(kernel_hook_);
  }

  // False: an exception is set, nothing was posted.
  bool build() {
    parts.reserve(count_);
    for (u64 r = 0; r < count_; ++r) {
      const Row& row = rows_[r];
      RingHost::Part part{};
      part.slot.opcode = u16(row.op);
      bool good = true;
      switch (Opcode(row.op)) {
        case Opcode::kNoop:
        case Opcode::kBarrier:
          break;
        case Opcode::kCompute:
          good = compute(r, row, part);
          break;
        case Opcode::kWrite:
          good = write(r, row, part);
          break;
        default:
          raise_hook("bad_row", "(Ks)", r, "op is none of noop, barrier, compute, write");
          good = false;
      }
      if (!good) return false;
      parts.push_back(part);
    }
    // Only now: the vector has stopped moving.
    for (u64 r = 0; r < parts.size(); ++r) {
      if (parts[r].page_bytes && !parts[r].page) parts[r].page = pages_.data() + page_of_[r];
    }
    return true;
  }

  std::vector<RingHost::Part> parts;

 private:
  ResidentArrayObject* find(u64 r, u64 handle) {
    const auto found = live_.find(handle);
    if (found != live_.end() && found->second->live) return found->second;
    raise_hook("bad_row", "(Ks)", r,
               "names a handle that is not live in this grain; fill handles with int(handle)");
    return nullptr;
  }

  bool compute(u64 r, const Row& row, RingHost::Part& part) {
    if (row.offset != 0 || row.data != 0) {
      raise_hook("bad_row", "(Ks)", r, "offset and data are for write");
      return false;
    }
    Template* shared = nullptr;
    if (last_ && same_call(*last_->row, row)) {
      shared = last_;
    } else {
      for (auto& each : templates_) {
        if (same_call(*each->row, row)) {
          shared = each.get();
          break;
        }
      }
      if (!shared && !(shared = make_template(r, row))) return false;
      last_ = shared;
    }
    u64 words[kPageWords];
    const u32 used = u32(shared->words.size());
    std::memcpy(words, shared->words.data(), used * sizeof(u64));
    for (size_t p = 0; p < shared->packs.size(); ++p) {
      if (!pack(r, row.params[p], shared->packs[p], words[shared->first_param + p])) return false;
    }
    ComputeMessage message = shared->message;
    if (used <= kInlineWords) {
      std::memcpy(message.words, words, used * sizeof(u64));
    } else {
      message.in_page = 1;
      page_of_.resize(count_);
      page_of_[r] = pages_.size();
      pages_.insert(pages_.end(), words, words + used);
      part.page_bytes = used * u32(sizeof(u64));
    }
    std::memcpy(part.slot.payload, &message, sizeof(message));
    return true;
  }

  Template* make_template(u64 r, const Row& row) {
    if (!kernel_hook_ && !(kernel_hook_ = hook("kernel_of_number"))) return nullptr;
    PyObject* object = PyObject_CallFunction(kernel_hook_, "I", row.kernel);
    if (!object) return nullptr;
    KernelObject* kernel = kernel_of(object);
    Py_DECREF(object);  // the registry keeps it
    if (!kernel) return nullptr;
    Call call;
    while (call.count < 8 && row.handles[call.count] != 0) {
      ResidentArrayObject* array = find(r, row.handles[call.count]);
      if (!array) return nullptr;
      call.arrays[call.count++] =
          reinterpret_cast<ResidentArrayObject*>(Py_NewRef(reinterpret_cast<PyObject*>(array)));
    }
    const u32 outputs = row.outputs ? row.outputs : 1;
    if (outputs > call.count) {
      raise_hook("bad_row", "(Ks)", r, "has fewer handles than outputs");
      return nullptr;
    }
    call.inputs = call.count - outputs;
    note_kernel(grain_, kernel->name);
    PyObject* names = param_names(kernel, call);
    if (!names) return nullptr;
    const Py_ssize_t wanted = PyTuple_GET_SIZE(names);
    if (wanted > 8) {
      raise_hook("bad_row", "(Ks)", r, "its kernel has more than the 8 params of a row");
      return nullptr;
    }
    PyObject* params = PyDict_New();
    for (Py_ssize_t p = 0; params && p < wanted; ++p) {
      PyObject* value = PyFloat_FromDouble(row.params[p]);
      if (!value || PyDict_SetItem(params, PyTuple_GET_ITEM(names, p), value) != 0) {
        Py_CLEAR(params);
      }
      Py_XDECREF(value);
    }
    if (!params) return nullptr;
    bool cache_hit;
    const Variant* variant = find_variant(kernel, call, params, nullptr, cache_hit);
    Py_DECREF(params);
    if (!variant) return nullptr;
    i64 space[kMaxIndices];
    auto* kernel_object = reinterpret_cast<PyObject*>(kernel);
    PyObject* n = row.count ? PyLong_FromUnsignedLongLong(row.count) : nullptr;
    const bool fits = space_of(kernel_object, *variant, call, n, nullptr, space) &&
                      check_sizes(kernel_object, *variant, call, space);
    Py_XDECREF(n);
    u64 words[kPageWords];
    u32 used = 0;
    if (!fits || !argument_words(*variant, call, space, words, used)) return nullptr;
    auto made = std::make_unique<Template>();
    const KernelEntry& entry = variant->entry;
    made->row = &row;
    made->variant = variant;
    made->words.assign(words, words + used);
    made->first_param = entry.indices - 1u + entry.arrays;
    for (Py_ssize_t p = 0; p < wanted; ++p) {
      const u8 pack = variant->packs[size_t(p)];
      made->packs.push_back(pack ? u8(pack - 1) : u8(10));  // a Python float is a float64
    }
    if (entry.param_words != made->packs.size()) {
      raise_hook("bad_row", "(Ks)", r, "its kernel has a complex param; use compute()");
      return nullptr;
    }
    made->message = {variant->id, entry.arrays, entry.param_words, entry.indices, 0, u64(space[0]),
                     {}};
    templates_.push_back(std::move(made));
    return templates_.back().get();
  }

  bool write(u64 r, const Row& row, RingHost::Part& part) {
    const ResidentArrayObject* array = find(r, row.handles[0]);
    if (!array) return false;
    const u64 item = u64(PyDataType_ELSIZE(array->dtype));
    if (!data_ || PyArray_DESCR(data_)->type_num != array->dtype->type_num) {
      raise_hook("bad_row", "(Ks)", r, "writes, but data= is missing or has another dtype");
      return false;
    }
    const u64 given = u64(PyArray_SIZE(data_));
    if (row.count == 0 || row.data > given || row.count > given - row.data) {
      raise_hook("bad_row", "(Ks)", r, "names elements that data= does not have");
      return false;
    }
    if (row.offset > u64(array->size) || row.count > u64(array->size) - row.offset) {
      raise_hook("bad_row", "(Ks)", r, "writes past the end of its handle");
      return false;
    }
    if (row.count * item > kPageBytes) {
      raise_hook("bad_row", "(Ks)", r, "writes more than 4 KiB; use several rows, or write()");
      return false;
    }
    const TransferMessage message{array->handle, row.offset * item, row.count * item, kPage, 0, 0};
    std::memcpy(part.slot.payload, &message, sizeof(message));
    part.page = static_cast<const u8*>(PyArray_DATA(data_)) + row.data * item;
    part.page_bytes = u32(row.count * item);
    return true;
  }

  // A row's number in the parameter's dtype; whole words.
  static bool pack(u64 r, double value, u8 code, u64& word) {
    word = 0;
    if (code == 10) {
      std::memcpy(&word, &value, 8);
    } else if (code == 9) {
      const float narrow = float(value);
      std::memcpy(&word, &narrow, 4);
    } else {
      PyObject* function = hook("pack_param");
      PyObject* bytes =
          function ? PyObject_CallFunction(function, "di", value, int(code)) : nullptr;
      Py_XDECREF(function);
      if (!bytes) return false;
      const bool whole = PyBytes_GET_SIZE(bytes) == 8;
      if (whole) std::memcpy(&word, PyBytes_AS_STRING(bytes), 8);
      Py_DECREF(bytes);
      if (!whole) raise_hook("bad_row", "(Ks)", r, "its kernel has a complex param");
      return whole;
    }
    return true;
  }

  GrainObject* grain_;
  const Row* rows_;
  const u64 count_;
  PyArrayObject* data_;
  std::unordered_map<u64, ResidentArrayObject*> live_;
  std::vector<std::unique_ptr<Template>> templates_;
  Template* last_ = nullptr;
  std::vector<u64> pages_;
  std::vector<u64> page_of_;
  PyObject* kernel_hook_ = nullptr;
};

}  // namespace

// _submit(rows, data): rows C-contiguous with the dtype of gl.messages, data C-contiguous or None.
PyObject* grain_submit(PyObject* object, PyObject* args) {
  auto* self = reinterpret_cast<GrainObject*>(object);
  PyObject *rows_object, *data_object;
  if (!PyArg_ParseTuple(args, "O!O", &PyArray_Type, &rows_object, &data_object)) return nullptr;
  auto* rows = reinterpret_cast<PyArrayObject*>(rows_object);
  auto* data = data_object == Py_None ? nullptr : reinterpret_cast<PyArrayObject*>(data_object);
  if (PyArray_ITEMSIZE(rows) != sizeof(Row) || !PyArray_ISCARRAY_RO(rows) ||
      (data && (!PyArray_Check(data_object) || !PyArray_ISCARRAY_RO(data)))) {
    return PyErr_Format(PyExc_TypeError, "_submit() takes what submit() prepares");
  }
  if (is_recording()) {
    refuse_to_record("submit");
    return nullptr;
  }
  const Busy busy(self);
  if (!check_open(self)) return nullptr;
  const u64 count = u64(PyArray_SIZE(rows));
  Batch batch(self, static_cast<const Row*>(PyArray_DATA(rows)), count, data);
  if (!batch.build()) return nullptr;

  Engine& engine = *self->engine;
  RingHost& ring = self->core->ring;
  drain_graveyard(engine);
  if (engine.not_started()) engine.start();
  Request* request = ring.new_request(*self->core, u16(Opcode::kCompute));
  request->parts = u32(count);
  u64 sent = 0, since = steady_ns();
  bool started = false, interrupted = false;
  Status cause = Status::kOk;
  while (sent < count && cause == Status::kOk && !interrupted) {
    Py_BEGIN_ALLOW_THREADS if (!started) {
      started = engine.wait_until(ring, std::min<u64>(self->full_wait_ns, 50'000'000),
                                  [&] { return ring.begin_parts(*self->core); });
    }
    const u64 slice = steady_ns() + 50'000'000;
    while (started && sent < count && steady_ns() < slice && ring.close_cause() == Status::kOk) {
      const u64 fitted =
          ring.post_parts(*self->core, batch.parts.data() + sent, count - sent, *request);
      sent += fitted;
      if (fitted) {
        since = steady_ns();
      } else {
        engine.wait_until(ring, 1'000'000, [&] { return ring.has_room(); });
      }
    }
    Py_END_ALLOW_THREADS if (sent < count) {
      cause = ring.close_cause();
      if (cause == Status::kOk && steady_ns() - since >= self->full_wait_ns) break;
      interrupted = PyErr_CheckSignals() != 0;
    }
  }
  if (started) ring.end_parts(*self->core);
  if (sent == count) return make_completion(self, request, Outcome::kNone, nullptr);
  // What was posted runs; the rest never will.
  ring.abandon_parts(*request, u32(count - sent), Status::kCancelled);
  request->seen = true;
  engine.drop(request);
  if (interrupted) return nullptr;
  if (cause != Status::kOk) {
    return raise_hook("refused", "(OiK)", self->key, int(cause),
                      engine.current_request(ring.view.index));
  }
  return raise_hook("ring_full", "(OKKKi)", self->key, ring.view.slot_count, ring.pending(),
                    self->full_wait_ns, int(ring.view.index));
}

}  // namespace gpures::python
