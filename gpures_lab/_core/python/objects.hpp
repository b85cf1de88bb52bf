// The hot Python types: GrainBase, ResidentArray, Completion, KernelBase.
//
// Written against the CPython and NumPy C APIs: nanobind's keyword dispatch and instance registry
// cost more than the message itself. Everything rare is nanobind's (module.cpp) or Python's
// (hooks: functions of gpures_lab that build errors, cast data, await).
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#define NPY_TARGET_VERSION NPY_2_0_API_VERSION
#define PY_ARRAY_UNIQUE_SYMBOL gpures_numpy
#ifndef GPURES_IMPORTS_NUMPY
#define NO_IMPORT_ARRAY
#endif
#include <numpy/arrayobject.h>
#include <numpy/arrayscalars.h>

#include <vector>

#include "host/engine.hpp"
#include "host/unlocked.hpp"
#include "shared/kernel_abi.hpp"

namespace gpures::python {

// DType code of a NumPy descriptor: the numbers of shared/dtype.hpp; 0xff where there is none.
u8 dtype_code(const PyArray_Descr* dtype);

struct ResidentArrayObject;

struct GrainObject {
  PyObject_HEAD Grain* core;
  Engine* engine;              // one reference
  PyObject* manager;           // keeps the manager alive; cleared by close
  PyObject* key;               // str
  PyArray_Descr* dtype;        // default for allocate()
  ResidentArrayObject* first;  // live allocations, newest first (not owned)
  u64 ordinals;                // for the names a0, a1, …
  u64 full_wait_ns;
  unsigned long borrower;  // thread inside `with grain.borrow()`, 0 = none
  PyObject* kernels;       // set of the names of kernels it has used beyond `noted`; or null
  PyObject* noted[4];      // the first names, looked at first
  u32 busy;                // calls under way: they may wait, so nobody deactivates the grain
  bool asleep;             // deactivated: live handles have no block, the next call wakes it
  PyObject* weakrefs;
};

struct ResidentArrayObject {
  PyObject_HEAD GrainObject* grain;
  PyArray_Descr* dtype;
  PyObject* shape;  // tuple, or null for (size,) until somebody asks
  PyObject* name;   // str, or null for a<ordinal>
  u64 handle;
  i64 size;  // elements
  u64 nbytes;
  u64 ordinal;
  ResidentArrayObject *newer, *older;
  PyObject* weakrefs;
  u32 block;
  u8 code;  // dtype_code(dtype)
  u8 ndim;
  u8 arena;  // 0 device, 1 pinned
  bool live;
};

// Two axes, by binding position, whose extents are the same in a call that fits.
struct EqualExtents {
  static constexpr u8 kFlat = 255;  // all elements, whatever the shape
  u8 array, axis, other, other_axis;
};

// An array that is read at exactly an index.
struct Followed {
  u8 array, axis, index;
};

struct Variant {
  std::vector<u8> key;
  KernelEntry entry;
  u32 id;
  u8 order[kMaxArrays];             // binding position of each compiled array
  std::vector<u8> packs;            // of each parameter: 0 = as given, else 1 + dtype code
  std::vector<EqualExtents> equal;  // a library kernel's that reads shapes
  int adds_up;  // binding position of an array with an element of every index's, -1: none
  std::vector<Followed> followed;  // read at an index that no store to the first output follows
  PyObject* owner;
};

// The scalar parameters of a kernel, for one split of arrays into inputs and outputs.
struct Scalars {
  u32 inputs, arrays;
  PyObject* names;     // tuple of str
  PyObject* defaults;  // dict of name → value
};

struct KernelObject {
  PyObject_HEAD PyObject* name;
  std::vector<Scalars>* scalars;
  std::vector<Variant*>* variants;
  u64 hits, misses;
  bool checked;       // default of compute(checked=None)
  bool fixed_params;  // library: the parameters' dtypes follow from the arrays
  PyObject* weakrefs;
};

// kHost: what the host does for a grain; `value` is its result, or its exception.
enum class Outcome : u8 { kNone, kValue, kCompute, kRun, kHost };

struct CompletionObject {
  PyObject_HEAD Request* request;  // one reference
  GrainObject* grain;
  PyObject* value;  // kValue: the array; kCompute: the kernel's name; kRun: program
  Outcome outcome;
  bool cache_hit;
  PyObject* weakrefs;
};

extern PyTypeObject* grain_type;
extern PyTypeObject* array_type;
extern PyTypeObject* completion_type;
extern PyTypeObject* kernel_type;

// Registers the types in the module; each in its own file.
bool add_grain_type(PyObject* module);
bool add_array_type(PyObject* module);
bool add_completion_type(PyObject* module);
bool add_kernel_type(PyObject* module);

// Python functions of gpures_lab, set once by gpures_lab.grain.hooks.
PyObject* hook(const char* name);
// Calls a hook that returns an exception and raises it. Always returns null.
PyObject* raise_hook(const char* name, const char* format, ...);

// Engine of a nanobind `Engine` object, borrowed; null with an error set.
Engine* engine_of(PyObject* object);

PyObject* make_completion(GrainObject* grain, Request* request, Outcome outcome,
                          PyObject* value_stolen, bool cache_hit = false);
// Posts, waiting up to full_wait for room without the GIL. False: an exception is set.
bool post_or_raise(GrainObject* grain, Outgoing& message);
// After a post that did not go: waits until the next may. `since` is 0 at first. False: closed,
// full for too long, or interrupted; an exception is set.
bool wait_for_room(GrainObject* grain, Post refused, u64& since);
// `handle` 0: a new one is taken, else memory is given to that one again.
bool allocate_or_raise(GrainObject* grain, Outgoing& message, u64 bytes, u32 arena, u64& handle);
// Checks that the array is live and this grain's. False: an exception is set.
bool check_array(GrainObject* grain, PyObject* object);
// The error of a ring that takes no more messages, for this cause. Always returns null.
PyObject* raise_refused(GrainObject* grain, Status cause);
// Whether a signal handler raised; Ctrl-C's exception says that the grain's messages go on.
bool interrupted(const GrainObject* grain);
// A signal's handler has raised; Ctrl-C then says how much of the call was done. Returns null.
PyObject* say_interrupted(const GrainObject* grain, const char* unit, u64 done, u64 total);
// A bool, or null for `otherwise`; -1: InvalidOption is set.
int flag_of(const char* name, PyObject* object, bool otherwise);
// Whether this thread holds a quiesced window: it may not wait for messages. Sets no error.
bool is_quiesced_here(const GrainObject* grain);
// False with RingClosed set when the engine is another process's, or the grain was closed.
bool is_open(GrainObject* grain);
// The same; wakes the grain if it is deactivated.
bool check_open(GrainObject* grain);

// A call under way, from before its checks to its end; made and ended under the GIL.
class Busy {
 public:
  explicit Busy(GrainObject* grain) : grain_(grain) { ++grain_->busy; }
  Busy(const Busy&) = delete;
  ~Busy() { --grain_->busy; }

 private:
  GrainObject* grain_;
};
void drain_graveyard(Engine& engine);

// Finds or compiles the version of `kernel` for this call.
struct Call {
  Call() = default;
  Call(const Call&) = delete;
  ~Call() {  // compiling runs Python, which may drop a handle that only a list held
    for (u32 a = 0; a < count; ++a) Py_DECREF(reinterpret_cast<PyObject*>(arrays[a]));
  }
  ResidentArrayObject* arrays[kMaxArrays];
  u8 same[kMaxArrays];
  u32 count = 0, inputs = 0;
  u64 words[kMaxParamWords];
  u32 param_words = 0;
};
Variant* find_variant(KernelObject* kernel, Call& call, PyObject* params, PyObject* checked,
                      bool& cache_hit);
// Every kernel version of the process (kernel_ids.cpp).
struct KernelTotals {
  u64 versions = 0, hits = 0, misses = 0;
};
KernelTotals& kernel_totals();
// `arrays`: what errors call them, in compiled order; `first`: the kernel had no version before.
void note_version(PyObject* kernel, bool first, u32 id, PyObject* name, PyObject* arrays);
void forget_kernel(PyObject* kernel, u64 versions);
PyObject* kernels_used();
PyObject* kernel_names();         // dict of id → name, for the trace
PyObject* kernel_arrays(u32 id);  // what errors call its arrays, in compiled order
// (name, first word, pack code or 0, value) of each parameter of this call.
PyObject* params_of(KernelObject* kernel, const Call& call, const Variant& variant,
                    PyObject* params);
KernelObject* kernel_of(PyObject* object);  // borrowed; null with UnknownKernel set

// The index space of a call, and what the worker would refuse. False: an exception is set.
bool space_of(PyObject* kernel, const Variant& variant, const Call& call, PyObject* n,
              PyObject* shape, i64* space);
bool check_sizes(PyObject* kernel, const Variant& variant, const Call& call, const i64* space);
// Argument words of a Compute; false: too many.
bool argument_words(const Variant& variant, const Call& call, const i64* space, u64* words,
                    u32& used);
// Parameter names of the kernel for this split, borrowed; null with its error set.
PyObject* param_names(KernelObject* kernel, const Call& call);
// While this thread records a program, messages of its ring go into a list (record.cpp).
bool is_recording();
// Appends the message. False: an exception is set. Steals `params` (may be null).
bool record_step(GrainObject* grain, const Outgoing& message, ResidentArrayObject* const* arrays,
                 u32 count, const KernelEntry* kernel, PyObject* name, PyObject* params,
                 u32 inputs = 0);
// For what a program cannot hold: raises, and returns false.
bool refuse_to_record(const char* what);
// Methods of GrainBase.
PyObject* grain_allocate(PyObject* object, PyObject* const* args, Py_ssize_t count,
                         PyObject* names);
PyObject* grain_compute(PyObject* object, PyObject* const* args, Py_ssize_t count, PyObject* names);
PyObject* grain_begin_record(PyObject* object, PyObject* steps);
PyObject* grain_end_record(PyObject* object, PyObject*);
PyObject* grain_refuse_in_record(PyObject* object, PyObject* what);
PyObject* grain_program_store(PyObject* object, PyObject*);
PyObject* grain_run_program(PyObject* object, PyObject* args);
PyObject* grain_submit(PyObject* object, PyObject* args);
PyObject* grain_hold(PyObject* object, PyObject*);
PyObject* grain_unhold(PyObject* object, PyObject*);
PyObject* grain_join_stream(PyObject* object, PyObject* address);

// Element range of a transfer, and its messages.
PyObject* grain_write(GrainObject* grain, ResidentArrayObject* array, PyObject* data,
                      PyObject* offset);
PyObject* grain_read(GrainObject* grain, ResidentArrayObject* array, PyObject* count,
                     PyObject* offset, PyObject* out);
PyObject* grain_release(GrainObject* grain, ResidentArrayObject* array);
// From a destructor: never waits, never raises.
void release_quietly(ResidentArrayObject* array);
// The engine's count of what is resident: +1 or -1 allocation.
void count_resident(const ResidentArrayObject* array, int change);
void fill_release(const ResidentArrayObject* array, Outgoing& message);
// The handle is dead: the grain forgets it. Its Release, if it has memory, is the caller's.
void unlink(ResidentArrayObject* array);
// For checkpoints: the grain uses this kernel.
void note_kernel(GrainObject* grain, PyObject* name);
// Contents of several allocations as of one moment (contents.cpp).
PyObject* grain_read_all(PyObject* object, PyObject* args);
// Deactivation and checkpoints (residency.cpp).
extern PyMethodDef residency_methods[];
// One request, many slots: to everybody else one message. `from`/`to`: the host end.
Request* transfer_in_chunks(GrainObject* grain, Opcode opcode, const ResidentArrayObject* array,
                            u64 offset, u64 bytes, const u8* from, u8* to, PyObject* target);

// Works of the stream (works.cpp). Posts one, as post_or_raise() does.
bool post_work_or_raise(GrainObject* grain, Outgoing& message, std::unique_ptr<StreamWork> work);
// Whether a compute() is a plain launch over the whole device.
bool goes_wide(const Engine& engine, const Variant& variant, const i64* space);
std::unique_ptr<StreamWork> wide_work(Engine& engine, const Variant& variant, const Call& call,
                                      const ComputeMessage& message, const u64* words,
                                      Status& status);
// kNoMemory: none is free now; one block in the ring has the same result and needs none. kError: an
// exception is set.
enum class Passes : u8 { kReady, kNoMemory, kError };
Passes plan_passes(GrainObject* grain, const Variant& variant, const Call& call, StreamWork& work);
// A device's arena grows in a quiesced window, by the manager. False: an exception is set.
bool grow_arena(GrainObject* grain, u32 arena, u64 bytes);
// False: CompileError is set, for no step or row runs where only a plain launch does.
bool check_in_ring(GrainObject* grain, const Variant& variant);
// Elements of 1, 2 or 4 bytes each.
bool fills_wide(const Engine& engine, u32 arena, u64 bytes, u64 item);
std::unique_ptr<StreamWork> fill_work(Engine& engine, u32 block, u64 offset, u64 bytes,
                                      const void* element, u64 item);

// Keyword arguments of a METH_FASTCALL | METH_KEYWORDS method into `slots`, by position or name.
// Missing ones stay null. False: TypeError is set.
bool parse(const char* method, PyObject* const* args, Py_ssize_t count, PyObject* names,
           const char* const* keywords, int keyword_count, int required, int positional,
           PyObject** slots);

}  // namespace gpures::python
