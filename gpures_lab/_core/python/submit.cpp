// grain.submit(): the rows of a structured array become messages of one request, with no Python
// object a row. Everything is checked before the first message is posted.
#include <cstring>
#include <unordered_map>

#include "python/objects.hpp"
#include "shared/dtype.hpp"

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
  Row call;
  Slot slot;              // as it is posted, but for the parameters
  std::vector<u64> page;  // argument words, when they do not fit the slot
  u32 first_param;        // where the parameters begin, in argument words
  std::vector<u8> packs;  // dtype code a parameter
  bool plain;             // only floats: packed while posting
};

bool same_call(const Row& a, const Row& b) {
  u64 other = (a.kernel ^ b.kernel) | (a.count ^ b.count) | (a.outputs ^ b.outputs);
  for (int h = 0; h < 8; ++h) other |= a.handles[h] ^ b.handles[h];
  return other == 0;
}

// Checks every row first, then turns each into its message right where it is posted.
class Batch final : public RingHost::Source {
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
  bool check() {
    which_.resize(count_);
    for (u64 r = 0; r < count_; ++r) {
      const Row& row = rows_[r];
      bool good = true;
      switch (Opcode(row.op)) {
        case Opcode::kNoop:
        case Opcode::kBarrier:
          break;
        case Opcode::kCompute:
          good = check_compute(r, row);
          break;
        case Opcode::kWrite:
          good = check_write(r, row);
          break;
        default:
          raise_hook("bad_row", "(Ks)", r, "op is none of noop, barrier, compute, write");
          good = false;
      }
      if (!good) return false;
    }
    return true;
  }

  void fill(u64 r, Slot& slot, u8* page) const override {
    const Row& row = rows_[r];
    if (row.op == u32(Opcode::kCompute)) {
      fill_compute(r, row, *templates_[which_[r]], slot, page);
      return;
    }
    slot.opcode = u16(row.op);
    if (row.op == u32(Opcode::kWrite)) {
      const u64 item = u64(PyDataType_ELSIZE(PyArray_DESCR(data_)));
      const TransferMessage message{
          row.handles[0], row.offset * item, row.count * item, kPage, 0, 0};
      std::memcpy(slot.payload, &message, sizeof(message));
      std::memcpy(page, static_cast<const u8*>(PyArray_DATA(data_)) + row.data * item,
                  row.count * item);
    }
  }

 private:
  ResidentArrayObject* find(u64 r, u64 handle) {
    const auto found = live_.find(handle);
    if (found != live_.end() && found->second->live) return found->second;
    raise_hook("bad_row", "(Ks)", r,
               "names a handle that is not live in this grain; fill handles with int(handle)");
    return nullptr;
  }

  // The exception that is set says which row it is about.
  static bool name_row(u64 r) {
    PyObject *type, *error, *trace;
    PyErr_Fetch(&type, &error, &trace);
    PyErr_NormalizeException(&type, &error, &trace);
    if (error) raise_hook("in_row", "(OK)", error, r);
    Py_XDECREF(type);
    Py_XDECREF(error);
    Py_XDECREF(trace);
    return false;
  }

  bool check_compute(u64 r, const Row& row) {
    if (row.offset != 0 || row.data != 0) {
      raise_hook("bad_row", "(Ks)", r, "offset and data are for write");
      return false;
    }
    if (r == 0 || last_ >= templates_.size() || !same_call(templates_[last_]->call, row)) {
      for (last_ = 0; last_ < templates_.size(); ++last_) {
        if (same_call(templates_[last_]->call, row)) break;
      }
      if (last_ == templates_.size() && !make_template(r, row)) return name_row(r);
    }
    which_[r] = u32(last_);
    const Template& shared = *templates_[last_];
    return shared.plain || pack_all(r, row, shared) || name_row(r);
  }

  void fill_compute(u64 r, const Row& row, const Template& shared, Slot& slot, u8* page) const {
    slot = shared.slot;
    u64* words = reinterpret_cast<ComputeMessage*>(slot.payload)->words;
    if (!shared.page.empty()) {
      words = reinterpret_cast<u64*>(page);
      std::memcpy(words, shared.page.data(), shared.page.size() * sizeof(u64));
    }
    words += shared.first_param;
    const size_t params = shared.packs.size();
    if (!shared.plain) {
      std::memcpy(words, packed_.data() + packed_at_.at(r), params * sizeof(u64));
      return;
    }
    for (size_t p = 0; p < params; ++p) pack_float(row.params[p], shared.packs[p], words[p]);
  }

  bool make_template(u64 r, const Row& row) {
    if (!kernel_hook_ && !(kernel_hook_ = hook("kernel_of_number"))) return false;
    PyObject* object = PyObject_CallFunction(kernel_hook_, "I", row.kernel);
    if (!object) return false;
    KernelObject* kernel = kernel_of(object);
    Py_DECREF(object);  // the registry keeps it
    if (!kernel) return false;
    Call call;
    while (call.count < 8 && row.handles[call.count] != 0) {
      ResidentArrayObject* array = find(r, row.handles[call.count]);
      if (!array) return false;
      call.arrays[call.count++] =
          reinterpret_cast<ResidentArrayObject*>(Py_NewRef(reinterpret_cast<PyObject*>(array)));
    }
    const u32 outputs = row.outputs ? row.outputs : 1;
    if (outputs > call.count) {
      raise_hook("bad_row", "(Ks)", r, "has fewer handles than outputs");
      return false;
    }
    call.inputs = call.count - outputs;
    note_kernel(grain_, kernel->name);
    PyObject* names = param_names(kernel, call);
    if (!names) return false;
    const Py_ssize_t wanted = PyTuple_GET_SIZE(names);
    if (wanted > 8) {
      raise_hook("bad_row", "(Ks)", r, "its kernel has more than the 8 params of a row");
      return false;
    }
    PyObject* params = PyDict_New();
    for (Py_ssize_t p = 0; params && p < wanted; ++p) {
      PyObject* value = PyFloat_FromDouble(row.params[p]);
      if (!value || PyDict_SetItem(params, PyTuple_GET_ITEM(names, p), value) != 0) {
        Py_CLEAR(params);
      }
      Py_XDECREF(value);
    }
    if (!params) return false;
    bool cache_hit;
    const Variant* variant = find_variant(kernel, call, params, nullptr, cache_hit);
    Py_DECREF(params);
    if (!variant || !check_in_ring(grain_, *variant)) return false;
    i64 space[kMaxIndices];
    auto* kernel_object = reinterpret_cast<PyObject*>(kernel);
    PyObject* n = row.count ? PyLong_FromUnsignedLongLong(row.count) : nullptr;
    const bool fits = space_of(kernel_object, *variant, call, n, nullptr, space) &&
                      check_sizes(kernel_object, *variant, call, space);
    Py_XDECREF(n);
    u64 words[kPageWords];
    u32 used = 0;
    if (!fits || !argument_words(*variant, call, space, words, used)) return false;
    auto made = std::make_unique<Template>();
    const KernelEntry& entry = variant->entry;
    made->call = row;
    made->first_param = entry.indices - 1u + entry.arrays;
    made->plain = true;
    for (Py_ssize_t p = 0; p < wanted; ++p) {
      const u8 pack = variant->packs[size_t(p)];
      made->packs.push_back(pack ? u8(pack - 1) : kFloat64);  // a Python float is a float64
      if (made->packs.back() != kFloat32 && made->packs.back() != kFloat64) made->plain = false;
    }
    if (entry.param_words != made->packs.size()) {
      raise_hook("bad_row", "(Ks)", r, "its kernel has a complex param; use compute()");
      return false;
    }
    ComputeMessage message{variant->id,
                           entry.arrays,
                           entry.param_words,
                           entry.indices,
                           u8(used > kInlineWords),
                           u64(space[0]),
                           {}};
    if (message.in_page) {
      made->page.assign(words, words + used);
    } else {
      std::memcpy(message.words, words, used * sizeof(u64));
    }
    made->slot = {};
    made->slot.opcode = u16(Opcode::kCompute);
    std::memcpy(made->slot.payload, &message, sizeof(message));
    templates_.push_back(std::move(made));
    return true;
  }

  bool check_write(u64 r, const Row& row) {
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
    return true;
  }

  static void pack_float(double value, u8 code, u64& word) {
    word = 0;
    if (code == kFloat64) {
      std::memcpy(&word, &value, 8);
    } else {
      const float narrow = float(value);
      std::memcpy(&word, &narrow, 4);
    }
  }

  // Numbers of a row in dtypes that are not floats: NumPy's casts, so before anything is posted.
  bool pack_all(u64 r, const Row& row, const Template& shared) {
    packed_at_.emplace(r, packed_.size());
    for (size_t p = 0; p < shared.packs.size(); ++p) {
      u64 word = 0;
      if (shared.packs[p] == kFloat32 || shared.packs[p] == kFloat64) {
        pack_float(row.params[p], shared.packs[p], word);
      } else {
        PyObject* function = hook("pack_param");
        PyObject* bytes =
            function ? PyObject_CallFunction(function, "di", row.params[p], int(shared.packs[p]))
                     : nullptr;
        Py_XDECREF(function);
        if (!bytes) return false;
        const bool whole = PyBytes_GET_SIZE(bytes) == 8;
        if (whole) std::memcpy(&word, PyBytes_AS_STRING(bytes), 8);
        Py_DECREF(bytes);
        if (!whole) {
          raise_hook("bad_row", "(Ks)", r, "its kernel has a complex param");
          return false;
        }
      }
      packed_.push_back(word);
    }
    return true;
  }

  static constexpr u8 kFloat32 = u8(DType::kFloat32), kFloat64 = u8(DType::kFloat64);

  GrainObject* grain_;
  const Row* rows_;
  const u64 count_;
  PyArrayObject* data_;
  std::unordered_map<u64, ResidentArrayObject*> live_;
  std::vector<std::unique_ptr<Template>> templates_;
  std::vector<u32> which_;  // template of each compute row
  size_t last_ = 0;
  std::vector<u64> packed_;
  std::unordered_map<u64, u64> packed_at_;
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
  if (!batch.check()) return nullptr;

  Engine& engine = *self->engine;
  RingHost& ring = self->core->ring;
  drain_graveyard(engine);
  if (engine.not_started()) engine.start();
  Request* request = ring.new_request(*self->core, u16(Opcode::kCompute));
  request->parts = u32(count);
  u64 sent = 0, since = steady_ns();
  u32 lane = RingHost::kNoLane;
  bool interrupted = false;
  Status cause = Status::kOk;
  while (sent < count && cause == Status::kOk && !interrupted) {
    Py_BEGIN_ALLOW_THREADS if (lane == RingHost::kNoLane) {
      engine.wait_until(ring, std::min<u64>(self->full_wait_ns, 50'000'000), [&] {
        return (lane = ring.begin_batch(*self->core)) != RingHost::kNoLane;
      });
    }
    const u64 slice = steady_ns() + 50'000'000;
    while (lane != RingHost::kNoLane && sent < count && steady_ns() < slice &&
           ring.close_cause() == Status::kOk) {
      const u64 fitted = ring.post_parts(*self->core, lane, batch, sent, count - sent, *request);
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
  if (lane != RingHost::kNoLane) ring.end_batch(*self->core, lane);
  if (sent == count) return make_completion(self, request, Outcome::kNone, nullptr);
  // What was posted runs; the rest never will.
  ring.abandon_parts(*request, u32(count - sent), Status::kCancelled);
  engine.look_at(*request);
  engine.drop(request);
  if (interrupted) return say_interrupted(self, "messages", sent, count);
  if (cause != Status::kOk) {
    return raise_refused(self, cause);
  }
  return raise_hook("ring_full", "(OKKKi)", self->key, ring.view.slot_count, ring.pending(),
                    self->full_wait_ns, int(ring.view.index));
}

}  // namespace gpures::python
