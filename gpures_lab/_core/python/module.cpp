// The module `gpures_lab._core._native`: hot types, and nanobind for everything rare.
#include <pthread.h>

#include <nanobind/nanobind.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#define GPURES_IMPORTS_NUMPY
#include "host/clock.hpp"
#include "python/engine_handle.hpp"
#include "shared/dtype.hpp"

namespace nb = nanobind;

namespace gpures::python {

namespace {

int import_numpy() { return _import_array(); }

nb::bytes counts_of(const Histogram& histogram) {
  return nb::bytes(histogram.counts.data(), sizeof(histogram.counts));
}

const char* state_name(EngineState state) {
  constexpr const char* names[] = {"CREATED",  "STARTING",   "RUNNING", "PARKED",
                                   "DRAINING", "TERMINATED", "FAILED"};
  return names[int(state)];
}

nb::dict snapshot_of(EngineHandle& self) {
  Snapshot s;
  {
    nb::gil_scoped_release release;
    s = self.engine->snapshot();
  }
  nb::dict d;
  d["pool_used_bytes"] = s.pool.used_bytes;
  d["pool_idle_bytes"] = s.pool.idle_bytes;
  d["pool_limit_bytes"] = s.pool.limit_bytes;
  d["pool_high_water_bytes"] = s.pool.high_water_bytes;
  d["pool_hits"] = s.pool.hits;
  d["pool_misses"] = s.pool.misses;
  d["pool_evictions"] = s.pool.evictions;
  d["exported_blocks"] = s.pool.exported;
  d["messages_posted"] = s.posted;
  d["messages_processed"] = s.processed;
  d["messages_failed"] = s.failed;
  d["failures_unobserved"] = s.unseen;
  d["messages_pending"] = s.pending;
  d["messages_held"] = s.held;
  d["allocations_active"] = s.allocations;
  d["allocations_bytes"] = s.allocated_bytes;
  d["grains_active"] = s.grains;
  d["launches"] = s.launches;
  d["parks"] = s.parks;
  d["engine_state"] = state_name(s.state);
  d["uptime_ns"] = s.uptime_ns;
  d["now_ns"] = s.now_ns;
  d["queue_sum_ns"] = s.queue.sum_ns;
  d["queue_counts"] = counts_of(s.queue);
  d["service_sum_ns"] = s.service.sum_ns;
  d["service_counts"] = counts_of(s.service);
  d["round_trip_sum_ns"] = s.round_trip.sum_ns;
  d["round_trip_counts"] = counts_of(s.round_trip);
  return d;
}

// How many failed without anybody looking since the last call; of some of them, what the _state of
// their completions says, and request and grain (its index).
nb::tuple unseen_of(EngineHandle& self) {
  std::vector<UnseenFailure> some;
  const u64 count = self.engine->take_unseen(some);
  nb::list list;
  for (const UnseenFailure& failure : some) {
    nb::list fault;
    for (const i64 word : failure.fault) fault.append(word);
    nb::dict d;
    d["request"] = failure.id;
    d["grain"] = failure.grain;
    d["opcode"] = int(failure.opcode);
    d["status"] = int(failure.status);
    d["value"] = failure.value;
    d["kernel_id"] = failure.kernel;
    d["failed_left"] = failure.failed_left;
    d["on_device"] = self.engine->on_device();
    d["fault"] = nb::tuple(fault);
    list.append(d);
  }
  return nb::make_tuple(count, list);
}

// The number after the last row, and the rows as bytes: a Python object a row would cost more than
// the message did.
nb::tuple trace_of(EngineHandle& self, u64 since) {
  std::vector<TraceRow> rows;
  const u64 next = self.engine->read_trace(since, rows);
  const TickScale& scale = TickScale::get();
  const u64 begin = self.engine->trace_begin();
  for (TraceRow& row : rows) {
    for (u64* at : {&row.posted, &row.taken, &row.done}) *at = scale.to_ns(*at - begin);
  }
  return nb::make_tuple(next, nb::bytes(rows.data(), rows.size() * sizeof(TraceRow)));
}

// A NumPy array over the block itself. The capsule keeps block and engine.
struct View {
  Engine* engine;
  u32 block;
};

nb::object view_of(nb::handle object) {
  if (!PyObject_TypeCheck(object.ptr(), array_type)) throw nb::type_error("not a handle");
  auto* array = reinterpret_cast<ResidentArrayObject*>(object.ptr());
  Engine* engine = array->grain->engine;
  const bool of_device = engine->on_device() && array->arena == 0;
  PyObject* shape = PyObject_GetAttrString(object.ptr(), "shape");
  npy_intp dims[NPY_MAXDIMS];
  const int ndim = int(PyTuple_GET_SIZE(shape));
  for (int d = 0; d < ndim; ++d) dims[d] = PyLong_AsSsize_t(PyTuple_GET_ITEM(shape, d));
  Py_DECREF(shape);
  auto* view = new View{engine, array->block};
  engine->retain();
  engine->pool->hold_export(array->block);
  nb::capsule owner(view, [](void* pointer) noexcept {
    auto* held = static_cast<View*>(pointer);
    if (!held->engine->forked()) held->engine->pool->drop_export(held->block);
    held->engine->release();
    delete held;
  });
  // The host cannot reach a device's memory: the adapter makes CuPy's array of its address.
  if (of_device) {
    return nb::make_tuple(u64(engine->pool->base(array->block)), u64(array->nbytes), owner);
  }
  Py_INCREF(array->dtype);
  PyObject* result =
      PyArray_NewFromDescr(&PyArray_Type, array->dtype, ndim, dims, nullptr,
                           engine->pool->base(array->block), NPY_ARRAY_CARRAY, nullptr);
  if (!result) throw nb::python_error();
  PyArray_SetBaseObject(reinterpret_cast<PyArrayObject*>(result), owner.release().ptr());
  return nb::steal(result);
}

// Post and wait of one Noop at a time, without Python in between: what benchmarks compare with a
// floor. Nanoseconds each; shorter than asked where one was not answered within a second.
nb::bytes round_trips(nb::handle object, u64 count) {
  if (!PyObject_TypeCheck(object.ptr(), grain_type)) throw nb::type_error("not a grain");
  auto* grain = reinterpret_cast<GrainObject*>(object.ptr());
  if (!check_open(grain)) throw nb::python_error();
  Engine& engine = *grain->engine;
  engine.start();
  std::vector<u64> spans;
  {
    nb::gil_scoped_release release;
    for (u64 n = 0; n < count; ++n) {
      const u64 since = ticks();
      Outgoing message;
      message.slot.opcode = u16(Opcode::kNoop);
      if (grain->core->ring.post(*grain->core, message) != Post::kPosted) break;
      const bool answered = engine.wait(*message.request, 1'000'000'000);
      const u64 span = TickScale::get().to_ns(ticks() - since);
      engine.look_at(*message.request);
      engine.drop(message.request);
      if (!answered) break;
      spans.push_back(span);
    }
  }
  return nb::bytes(spans.data(), spans.size() * sizeof(u64));
}

template <class Function>
auto without_gil(Function function) {
  return [function](EngineHandle& self) {
    nb::gil_scoped_release release;
    return function(*self.engine);
  };
}

}  // namespace

Engine* engine_of(PyObject* object) {
  try {
    return nb::cast<EngineHandle&>(nb::handle(object)).engine;
  } catch (const nb::cast_error&) {
    PyErr_SetString(PyExc_TypeError, "not an engine");
    return nullptr;
  }
}

u8 dtype_code(const PyArray_Descr* dtype) {
  if (!PyArray_ISNBO(dtype->byteorder)) return 0xff;
  const u64 bytes = u64(PyDataType_ELSIZE(dtype));
  DType base;
  switch (dtype->kind) {
    case 'b':
      return u8(DType::kBool);
    case 'i':
      base = DType::kInt8;
      break;
    case 'u':
      base = DType::kUInt8;
      break;
    case 'f':
      return bytes == 4   ? u8(DType::kFloat32)
             : bytes == 8 ? u8(DType::kFloat64)
             : bytes == 2 ? u8(DType::kFloat16)
                          : u8(0xff);
    case 'c':
      return bytes == 8 ? u8(DType::kComplex64) : bytes == 16 ? u8(DType::kComplex128) : u8(0xff);
    default:
      return 0xff;
  }
  return u8(u8(base) + u8(__builtin_ctzll(bytes)));
}

}  // namespace gpures::python

NB_MODULE(_native, m) {
  using namespace gpures;
  using namespace gpures::python;
  if (import_numpy() < 0) throw nb::python_error();
#ifdef NDEBUG
  // A daemon thread, or a stuck worker, keeps objects to the end of the process: no leak, and not
  // the user's to read about.
  nb::set_leak_warnings(false);
#else
  // A forked child closes nothing of its parent's when it exits, on purpose: that is no leak.
  pthread_atfork(nullptr, nullptr, [] { nb::set_leak_warnings(false); });
#endif
  if (!add_grain_type(m.ptr()) || !add_array_type(m.ptr()) || !add_completion_type(m.ptr()) ||
      !add_kernel_type(m.ptr())) {
    throw nb::python_error();
  }
  Unlocked::use([]() -> void* { return PyGILState_Check() ? PyEval_SaveThread() : nullptr; },
                [](void* thread) { PyEval_RestoreThread(static_cast<PyThreadState*>(thread)); },
                [] { return PyGILState_Check() != 0; });
  nb::class_<EngineHandle> engine(m, "Engine", "Rings, launches, keeper and pool of one device.");
  bind_device(engine, m);
  engine
      .def(
          "__init__",
          [](EngineHandle* self, u64 slots, u64 linger_ns, u64 lease_ns, u32 max_rings, u64 spin_ns,
             u64 pool_limit_bytes, u64 stall_ns, std::optional<u64> dma_above_bytes,
             std::optional<u64> wide_above_bytes, bool device) {
            new (self) EngineHandle(EngineOptions{slots, linger_ns, lease_ns, max_rings, spin_ns,
                                                  pool_limit_bytes, stall_ns,
                                                  dma_above_bytes.value_or(kNeverBytes),
                                                  wide_above_bytes.value_or(kNeverBytes), device});
          },
          nb::kw_only(), nb::arg("slots"), nb::arg("linger_ns"), nb::arg("lease_ns"),
          nb::arg("max_rings"), nb::arg("spin_ns"), nb::arg("pool_limit_bytes"),
          nb::arg("stall_ns"), nb::arg("dma_above_bytes") = nb::none(),
          nb::arg("wide_above_bytes") = nb::none(), nb::arg("device") = false)
      .def("snapshot", &snapshot_of)
      .def("take_unseen", &unseen_of)
      .def("keep_trace", [](EngineHandle& self, u64 rows) { self.engine->keep_trace(rows); })
      .def("read_trace", &trace_of)
      .def(
          "park",
          [](EngineHandle& self, u64 limit_ns) {
            nb::gil_scoped_release release;
            return self.engine->park(limit_ns);
          },
          nb::arg("limit_ns"))
      .def(
          "begin_quiesced",
          [](EngineHandle& self, u64 thread) {
            nb::gil_scoped_release release;
            self.engine->begin_quiesced(thread);
          },
          nb::arg("thread"))
      .def(
          "end_quiesced",
          [](EngineHandle& self, u64 thread) {
            nb::gil_scoped_release release;
            self.engine->end_quiesced(thread);
          },
          nb::arg("thread"))
      .def("refuse", without_gil([](Engine& engine) { engine.refuse(); }))
      .def(
          "wait_drained",
          [](EngineHandle& self, u64 limit_ns) {
            nb::gil_scoped_release release;
            return self.engine->wait_drained(limit_ns);
          },
          nb::arg("limit_ns"))
      .def(
          "close",
          [](EngineHandle& self, u64 drain_ns) {
            nb::gil_scoped_release release;
            return self.engine->close(drain_ns);
          },
          nb::arg("drain_ns"))
      .def_prop_ro("messages", [](EngineHandle& self) { return self.engine->answered(); })
      .def_prop_ro("state",
                   [](EngineHandle& self) {
                     nb::gil_scoped_release release;  // a launch under way may hold its lock
                     return state_name(self.engine->state());
                   })
      .def_prop_ro("forked", [](EngineHandle& self) { return self.engine->forked(); })
      .def("record_evictions",
           [](EngineHandle& self, bool on) { self.engine->pool->record_evictions(on); })
      .def("take_evictions", [](EngineHandle& self) { return self.engine->pool->take_evictions(); })
      .def("drain_objects", [](EngineHandle& self) { drain_graveyard(*self.engine); });
  m.def("view_of", &view_of, nb::arg("handle"),
        "NumPy array over the allocation's block, or (address, bytes, owner) of a device's; what "
        "keeps "
        "the block rented while it lives.");
  m.def("round_trips", &round_trips, nb::arg("grain"), nb::arg("count"),
        "Nanoseconds of so many Noops, each posted and waited for in native code; uint64 bytes.");
  bind_library(m);
  m.def("is_main_interpreter",
        [] { return PyInterpreterState_Get() == PyInterpreterState_Main(); });
  m.def("kernel_counts", [] {
    const KernelTotals& totals = kernel_totals();
    return nb::make_tuple(totals.versions, totals.hits, totals.misses);
  });
  m.def("kernel_arrays", [](u32 id) { return nb::steal(kernel_arrays(id)); });
  m.def("kernel_names", [] { return nb::steal(kernel_names()); });
  m.def("kernels_used", [] { return nb::steal(kernels_used()); });
  m.def("block_of", [](nb::handle object) {
    auto* array = reinterpret_cast<ResidentArrayObject*>(object.ptr());
    return array->grain->engine->pool->serial(array->block);
  });
  m.def("class_bytes", &class_bytes, nb::arg("size"),
        "Bytes of the block that serves a request of `size` bytes.");
  nb::list dtypes;
  for (const DTypeInfo& info : kDTypes) dtypes.append(nb::str(info.name));
  m.attr("dtype_names") = nb::tuple(dtypes);
  m.attr("max_arrays") = kMaxArrays;
#ifdef GPURES_BUILD
  m.attr("build") = GPURES_BUILD;
#endif
  nb::dict flags;
  flags["map"] = int(kKernelMap);
  flags["reduction"] = int(kKernelReduction);
  flags["whole"] = int(kKernelWhole);
  flags["may_fault"] = int(kKernelMayFault);
  flags["user"] = int(kKernelUser);
  flags["straight"] = int(kKernelStraight);
  m.attr("kernel_flags") = flags;
}
