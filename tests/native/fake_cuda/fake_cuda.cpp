#include "fake_cuda/fake_cuda.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "cuda/api.hpp"
#include "fake_cuda/block.hpp"
#include "host/stream_work.hpp"
#include "shared/serve.hpp"

using namespace gpures;
using namespace fake;

namespace {

std::atomic<u64> calls, launches, wide_launches, wrong_context, in_capture;
std::atomic<int> launcher{0};
std::atomic<int> refusal{0};
std::atomic<bool> reset{false};
std::atomic<unsigned> block_threads{1}, poller_lanes{0};
thread_local void* current_context = nullptr;
thread_local int capture_mode = 0;  // global, as a thread begins
int the_context, the_ring_kernel;
std::mutex entries_mutex;
std::set<void*> ring_entries{&the_ring_kernel};

// Device memory --------------------------------------------------------------------------------

// Addresses of the host's (dead) mapping → offset to the workers' one.
std::mutex memory_mutex;
std::map<u8*, std::pair<size_t, ptrdiff_t>> device_memory;

template <class T>
T* as_worker(T* address) {
  std::lock_guard lock(memory_mutex);
  auto* at = reinterpret_cast<u8*>(address);
  auto found = device_memory.upper_bound(at);
  if (found == device_memory.begin()) return address;
  --found;
  const auto& [bytes, offset] = found->second;
  return at < found->first + bytes ? reinterpret_cast<T*>(at + offset) : address;
}

// Streams --------------------------------------------------------------------------------------

class FakeStream {
 public:
  FakeStream() : thread_([this] { run(); }) { thread_.detach(); }  // lives as long as the process
  void add(std::function<void()> task) {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    changed_.notify_all();
  }
  bool idle() {
    std::lock_guard lock(mutex_);
    return tasks_.empty() && !busy_;
  }
  void hold(bool on) {
    std::lock_guard lock(mutex_);
    held_ = on;
    changed_.notify_all();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return !tasks_.empty() && !held_; });
      auto task = std::move(tasks_.front());
      tasks_.pop_front();
      busy_ = true;
      lock.unlock();
      if (fault.load() == cuda::kSuccess) task();
      lock.lock();
      busy_ = false;
    }
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  bool busy_ = false, held_ = false;
  std::thread thread_;
};

std::mutex streams_mutex;
std::vector<FakeStream*> streams;

// Blocks ---------------------------------------------------------------------------------------

// One thread of a block, or one lane of its poller.
void run_thread(Block& block, unsigned thread, const EngineView& engine, RingView ring, u64 epoch,
                u64 expected_out) {
  try {
    if (block.lanes == 0) {
      FakeEnv env(block, thread);
      serve(env, engine, ring, epoch);
    } else if (thread < block.threads) {
      FakeApartEnv env(block, thread);
      serve(env, engine, ring, epoch);
      if (env.leader()) HostWords::store_release_block(block.fetched.over, 1);
      block.whole_barrier.wait();
    } else {
      FakePollerEnv env(block, thread - block.threads);
      fetch(env, engine, ring, epoch);
      block.whole_barrier.wait();
    }
  } catch (const Killed&) {
    return;  // as on a device: no word says so
  }
  if (thread == 0) count_out<HostWords>(engine, expected_out, epoch);
}

void run_ring(EngineView engine, const RingView* rings, u64 epoch, u64 expected_out) {
  engine.shared = as_worker(engine.shared);
  engine.states = as_worker(engine.states);
  engine.handles = as_worker(engine.handles);
  engine.holders = as_worker(engine.holders);
  std::vector<std::unique_ptr<Block>> blocks;
  blocks.reserve(engine.rings);  // their threads run while the next is made
  std::vector<std::thread> threads;
  for (u32 b = 0; b < engine.rings; ++b) {
    blocks.push_back(std::make_unique<Block>(block_threads.load(), poller_lanes.load()));
    for (u32 t = 0; t < blocks[b]->threads + blocks[b]->lanes; ++t) {
      threads.emplace_back([&, b, t] {
        RingView ring = rings[b];
        ring.state = as_worker(ring.state);
        run_thread(*blocks[b], t, engine, ring, epoch, expected_out);
      });
    }
  }
  for (auto& thread : threads) thread.join();
}

// The driver's functions -----------------------------------------------------------------------

// What every call does first; the capture check is for what ends a capture.
int enter(bool ends_capture) {
  calls.fetch_add(1);
  if (current_context != &the_context) wrong_context.fetch_add(1);
  if (ends_capture && capture_mode != cuda::kCaptureRelaxed) in_capture.fetch_add(1);
  return fault.load();
}

struct FakeEvent {
  std::atomic<u64> recorded{0}, reached{0}, at_ns{0};
};

// Plain launches: one thread does what all blocks would, in the first pass what all passes would;
// or the blocks of each pass run one after the other.
using PassCode = void (*)(void* const* data, const i64* sizes, const i64* shapes, const u64* params,
                          const i64* space, i64 begin, i64 end, i64* fault, const Pass* pass);
struct WideKernel {
  gpures_kernel code;
  PassCode pass_code;
  WideLayout at;
};
std::mutex wide_mutex;
std::map<void*, std::unique_ptr<WideKernel>> wide_kernels;

void run_wide(const WideKernel& kernel, std::vector<u64> words, unsigned blocks) {
  const WideLayout& at = kernel.at;
  HostWords::store_relaxed_sys(*reinterpret_cast<u64*>(words[at.begun]),
                               words[at.mark] + words[at.pass]);
  for (u32 a = 0; a < at.sizes; ++a) {
    words[a] = reinterpret_cast<u64>(as_worker(reinterpret_cast<u8*>(words[a])));
  }
  Pass pass{0, blocks, i64(words[at.pass]), as_worker(reinterpret_cast<u8*>(words[at.memory]))};
  const auto call = [&](auto code, auto... more) {
    code(reinterpret_cast<void* const*>(words.data()), reinterpret_cast<i64*>(&words[at.sizes]),
         reinterpret_cast<i64*>(&words[at.shapes]), &words[at.params],
         reinterpret_cast<i64*>(&words[at.space]), i64(words[at.begin]), i64(words[at.begin + 1]),
         as_worker(reinterpret_cast<i64*>(words[at.fault])), more...);
  };
  if (!kernel.pass_code) {
    if (pass.number == 0) call(kernel.code);
    return;
  }
  for (; pass.block < pass.blocks; ++pass.block) call(kernel.pass_code, &pass);
}

// A call that another thread's keeps waiting; bounded, and whoever lets it go hears whether in
// time.
class Gate {
 public:
  void pass() {
    std::unique_lock lock(mutex_);
    ++inside_;
    changed_.notify_all();
    late_ = !changed_.wait_for(lock, std::chrono::seconds(20), [this] { return !shut_; }) || late_;
    --inside_;
  }
  void shut(bool on) {
    std::lock_guard lock(mutex_);
    if (on) late_ = false;
    shut_ = on;
    changed_.notify_all();
  }
  bool wait_for_one() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(20), [this] { return inside_ != 0; });
  }
  bool late() {
    std::lock_guard lock(mutex_);
    return late_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int inside_ = 0;
  bool shut_ = false, late_ = false;
} launch_gate, query_gate;

bool is_ring(void* function) {
  std::lock_guard lock(entries_mutex);
  return ring_entries.count(function) != 0;
}

int launch_kernel(void* function, unsigned grid, unsigned, unsigned, unsigned, unsigned, unsigned,
                  unsigned, void* stream, void** parameters, void**) {
  if (const int error = enter(false)) return error;
  if (!is_ring(function)) {
    std::lock_guard lock(wide_mutex);
    const auto found = wide_kernels.find(function);
    if (found == wide_kernels.end()) return 400;  // invalid handle: unloaded, or never loaded
    const WideKernel& kernel = *found->second;
    const u64* const words = static_cast<u64*>(parameters[0]);
    if (const int error = refusal.exchange(0)) return error;
    wide_launches.fetch_add(1);
    static_cast<FakeStream*>(stream)->add(
        [&kernel, grid, given = std::vector<u64>(words, words + kernel.at.words)] {
          run_wide(kernel, given, grid);
        });
    return 0;
  }
  const EngineView engine = *static_cast<EngineView*>(parameters[0]);
  const RingView* rings = *static_cast<const RingView**>(parameters[1]);
  const u64 epoch = *static_cast<u64*>(parameters[2]);
  const u64 expected_out = *static_cast<u64*>(parameters[3]);
  if (engine.rings != grid) return 1;  // invalid value
  launch_gate.pass();
  launches.fetch_add(1);
  launcher = gettid();
  static_cast<FakeStream*>(stream)->add([=] { run_ring(engine, rings, epoch, expected_out); });
  return 0;
}
int stream_query(void* stream) {
  if (const int error = enter(true)) return error;
  query_gate.pass();
  return static_cast<FakeStream*>(stream)->idle() ? 0 : cuda::kNotReady;
}
int event_create(void** event, unsigned) {
  if (const int error = enter(false)) return error;
  *event = new FakeEvent;
  return 0;
}
int event_destroy(void* event) {
  if (const int error = enter(false)) return error;
  delete static_cast<FakeEvent*>(event);
  return 0;
}
int event_record(void* event, void* stream) {
  if (const int error = enter(false)) return error;
  auto* e = static_cast<FakeEvent*>(event);
  const u64 number = e->recorded.fetch_add(1) + 1;
  static_cast<FakeStream*>(stream)->add([e, number] {
    e->at_ns.store(global_timer());
    e->reached.store(number);
  });
  return 0;
}
int event_elapsed(float* ms, void* since, void* until) {
  if (const int error = enter(false)) return error;
  auto *from = static_cast<FakeEvent*>(since), *to = static_cast<FakeEvent*>(until);
  for (FakeEvent* e : {from, to}) {
    if (e->recorded.load() == 0) return 400;
    if (e->reached.load() < e->recorded.load()) return cuda::kNotReady;
  }
  *ms = float(double(to->at_ns.load() - from->at_ns.load()) * 1e-6);
  return 0;
}
int event_query(void* event) {
  if (const int error = enter(true)) return error;
  auto* e = static_cast<FakeEvent*>(event);
  return e->reached.load() >= e->recorded.load() ? 0 : cuda::kNotReady;
}
int memcpy_async(u64 to, u64 from, size_t bytes, void* stream) {
  if (const int error = enter(false)) return error;
  static_cast<FakeStream*>(stream)->add([=] {
    std::memcpy(as_worker(reinterpret_cast<u8*>(to)), as_worker(reinterpret_cast<u8*>(from)),
                bytes);
  });
  return 0;
}
template <class Element>
int memset_async(u64 to, Element value, size_t count, void* stream) {
  if (const int error = enter(false)) return error;
  if (to % sizeof(Element) != 0) return 1;  // invalid value
  static_cast<FakeStream*>(stream)->add([=] {
    Element* const at = as_worker(reinterpret_cast<Element*>(to));
    std::fill(at, at + count, value);
  });
  return 0;
}
int context_get(void** context) {
  *context = current_context;
  return 0;
}
int context_set(void* context) {
  if (context == &the_context && reset) return 709;  // context is destroyed
  current_context = context;
  return 0;
}
int exchange_capture_mode(int* mode) {
  std::swap(*mode, capture_mode);
  return 0;
}
int error_name(int code, const char** name) {
  *name = code == 700   ? "CUDA_ERROR_ILLEGAL_ADDRESS"
          : code == 709 ? "CUDA_ERROR_CONTEXT_IS_DESTROYED"
                        : "CUDA_ERROR_UNKNOWN";
  return 0;
}

const std::map<std::string, void*> functions = {
    {"cuLaunchKernel", reinterpret_cast<void*>(&launch_kernel)},
    {"cuStreamQuery", reinterpret_cast<void*>(&stream_query)},
    {"cuEventCreate", reinterpret_cast<void*>(&event_create)},
    {"cuEventDestroy", reinterpret_cast<void*>(&event_destroy)},
    {"cuEventRecord", reinterpret_cast<void*>(&event_record)},
    {"cuEventQuery", reinterpret_cast<void*>(&event_query)},
    {"cuMemcpyAsync", reinterpret_cast<void*>(&memcpy_async)},
    {"cuEventElapsedTime", reinterpret_cast<void*>(&event_elapsed)},
    {"cuMemsetD8Async", reinterpret_cast<void*>(&memset_async<unsigned char>)},
    {"cuMemsetD16Async", reinterpret_cast<void*>(&memset_async<unsigned short>)},
    {"cuMemsetD32Async", reinterpret_cast<void*>(&memset_async<unsigned>)},
    {"cuCtxGetCurrent", reinterpret_cast<void*>(&context_get)},
    {"cuCtxSetCurrent", reinterpret_cast<void*>(&context_set)},
    {"cuThreadExchangeStreamCaptureMode", reinterpret_cast<void*>(&exchange_capture_mode)},
    {"cuGetErrorName", reinterpret_cast<void*>(&error_name)},
};

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT int cuGetProcAddress_v2(const char* name, void** address, int, u64, int* found) {
  const auto function = functions.find(name);
  *address = function == functions.end() ? nullptr : function->second;
  if (found) *found = *address ? 0 : 1;
  return *address ? 0 : 500;  // not found
}
EXPORT int fake_cuda_capture_mode() { return capture_mode; }
EXPORT void* fake_cuda_context() { return &the_context; }
EXPORT void* fake_cuda_stream() {
  auto* stream = new FakeStream;
  std::lock_guard lock(streams_mutex);
  streams.push_back(stream);
  return stream;
}
EXPORT void fake_cuda_synchronize(void* stream) {
  while (!static_cast<FakeStream*>(stream)->idle()) std::this_thread::yield();
}
EXPORT void* fake_cuda_ring_kernel() { return &the_ring_kernel; }
EXPORT void* fake_cuda_load_ring_kernel() {
  void* const entry = new int;
  std::lock_guard lock(entries_mutex);
  ring_entries.insert(entry);
  return entry;
}
EXPORT void fake_cuda_unload(void* entry) {
  {
    std::lock_guard lock(entries_mutex);
    ring_entries.erase(entry);  // its address is nobody's again
  }
  static std::vector<std::unique_ptr<WideKernel>> unloaded;
  std::lock_guard lock(wide_mutex);
  const auto found = wide_kernels.find(entry);
  if (found == wide_kernels.end()) return;
  unloaded.push_back(std::move(found->second));
  wide_kernels.erase(found);
}
static void* add_wide(const WideKernel& made) {
  auto kernel = std::make_unique<WideKernel>(made);
  std::lock_guard lock(wide_mutex);
  void* const entry = kernel.get();
  wide_kernels[entry] = std::move(kernel);
  return entry;
}
EXPORT void* fake_cuda_wide_kernel(void* code, unsigned arrays, unsigned shape_words,
                                   unsigned param_words) {
  return add_wide({reinterpret_cast<gpures_kernel>(code), nullptr,
                   WideLayout(arrays, shape_words, param_words)});
}
EXPORT void* fake_cuda_wide_kernel_in_passes(void* code, unsigned arrays, unsigned shape_words,
                                             unsigned param_words) {
  return add_wide(
      {nullptr, reinterpret_cast<PassCode>(code), WideLayout(arrays, shape_words, param_words)});
}
EXPORT void* fake_cuda_device_memory(std::size_t bytes) {
  bytes = (bytes + 4095) / 4096 * 4096;
  const int file = memfd_create("device", 0);
  if (file < 0 || ftruncate(file, off_t(bytes)) != 0) std::abort();
  void* const dead = mmap(nullptr, bytes, PROT_NONE, MAP_SHARED, file, 0);
  void* const live = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (dead == MAP_FAILED || live == MAP_FAILED) std::abort();
  std::lock_guard lock(memory_mutex);
  device_memory[static_cast<u8*>(dead)] = {bytes, static_cast<u8*>(live) - static_cast<u8*>(dead)};
  return dead;
}
EXPORT void fake_cuda_block_threads(unsigned threads) { block_threads = threads; }
EXPORT void fake_cuda_poller(unsigned lanes) { poller_lanes = lanes; }
EXPORT void fake_cuda_hold_launches(int on) {
  std::lock_guard lock(streams_mutex);
  for (FakeStream* stream : streams) stream->hold(on != 0);
}
EXPORT void fake_cuda_hang(int on) { hung = on != 0; }
EXPORT void fake_cuda_keep_launches(int on) { launch_gate.shut(on != 0); }
EXPORT void fake_cuda_keep_queries(int on) { query_gate.shut(on != 0); }
EXPORT int fake_cuda_launch_is_kept() { return launch_gate.wait_for_one(); }
EXPORT int fake_cuda_kept_too_long() { return launch_gate.late() || query_gate.late(); }
EXPORT void fake_cuda_reset(int on) { reset = on != 0; }
EXPORT int fake_cuda_error() { return fault; }
EXPORT int fake_cuda_launcher() { return launcher; }
EXPORT void fake_cuda_refuse(int code) { refusal = code; }
EXPORT void fake_cuda_fault(int code) { fault = code; }
EXPORT FakeCounts fake_cuda_counts() {
  return {calls.load(), launches.load(), wide_launches.load(), wrong_context.load(),
          in_capture.load()};
}
