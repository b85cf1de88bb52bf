// CudaDriver and the engine above it against a test double of libcuda: launch, lease, park,
// relaunch, quiesce, a busy device, a fault, stop, shutdown. Nothing here is a GPU figure.
#include <dlfcn.h>
#include <sys/mman.h>

#include <cstdio>
#include <cstring>

#include "cuda/cuda_driver.hpp"
#include "fake_cuda/fake_cuda.hpp"
#include "host/engine.hpp"
#include "host/kernel_registry.hpp"
#include "litmus/support.hpp"

using namespace gpures;
using litmus::kShare;

// An engine that outlives its lost device, on purpose. Not in the unnamed namespace: a store that
// nobody else could read would be removed, and the engine would count as a leak.
Engine *kept_for_good = nullptr, *stalled_for_good = nullptr, *hung_for_good = nullptr,
       *reset_for_good = nullptr;

namespace {

constexpr u64 kLimit = 60'000'000'000;  // bounds a wait that would otherwise hang

u8* pinned(u64 bytes) {
  void* const base =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) std::abort();
  return static_cast<u8*>(base);
}

template <class Condition>
bool eventually(Condition&& condition) {
  const u64 since = steady_ns();
  while (!condition()) {
    if (steady_ns() - since > kLimit) return false;
    std::this_thread::yield();
  }
  return true;
}

// An engine whose workers are the double's.
struct Device {
  explicit Device(const char* library, EngineOptions options = {}) {
    options.device = true;
    engine = new Engine(options);
    CHECK(engine->wants_memory());
    std::string why;
    api = cuda::Api::load(library, why);
    if (!CHECK(api != nullptr)) std::fprintf(stderr, "%s\n", why.c_str());
    const MemoryBytes bytes = engine->memory_bytes();
    const EngineMemory memory{
        pinned(bytes.shared),  pinned(bytes.tables),
        pinned(bytes.staging), static_cast<u8*>(fake_cuda_device_memory(bytes.worker)),
        pinned(bytes.mirror),  pinned(bytes.kernels)};
    auto driver = std::make_unique<cuda::CudaDriver>(
        *api, cuda::Device{fake_cuda_context(),
                           fake_cuda_stream(),
                           fake_cuda_ring_kernel(),
                           {fake_cuda_stream(), fake_cuda_stream(), fake_cuda_stream()},
                           4});
    cuda = driver.get();
    engine->attach(memory, std::move(driver));
    engine->start();
    grain = engine->make_grain(false);
  }
  ~Device() {
    if (engine->close(1'000'000'000)) cuda->free_events();
    engine->release();
  }

  Request* post(Opcode opcode, Grain* to = nullptr, u64 payload = 0) {
    Grain& target = to ? *to : *grain;
    Outgoing message;
    message.slot.opcode = u16(opcode);
    message.slot.payload[0] = payload;
    while (target.ring.post(target, message) == Post::kFull) std::this_thread::yield();
    return message.request;
  }
  Status outcome(Request* request) {
    CHECK(engine->wait(*request, kLimit));
    const Status status = request->status;
    request->seen = true;
    engine->drop(request);
    return status;
  }

  const cuda::Api* api = nullptr;
  Engine* engine = nullptr;
  cuda::CudaDriver* cuda = nullptr;
  Grain* grain = nullptr;
};

EngineOptions tiny(u64 linger_ns, u64 lease_ns, u32 rings = 2) {
  EngineOptions options;
  options.slots = 4;
  options.linger_ns = linger_ns;
  options.lease_ns = lease_ns;
  options.max_rings = rings;
  return options;
}

void messages_survive_leases(const char* library, unsigned threads, unsigned lanes = 0) {
  fake_cuda_block_threads(threads);
  fake_cuda_poller(lanes);
  Device device(library, tiny(200'000, 1'000'000));
  for (u64 n = 0; n < 400 / kShare; ++n) {
    Request* first = device.post(Opcode::kNoop);
    Request* second = device.post(Opcode::kBarrier);
    CHECK_EQUAL(int(device.outcome(second)), int(Status::kOk));
    CHECK_EQUAL(int(device.outcome(first)), int(Status::kOk));
    if (n % 16 == 0) CHECK(device.engine->park(kLimit));
  }
  const Snapshot snapshot = device.engine->snapshot();
  CHECK_EQUAL(snapshot.processed, 800 / kShare);
  CHECK(snapshot.launches > 1);
  fake_cuda_block_threads(1);
  fake_cuda_poller(0);
}

// Nobody waits, so nobody but the keeper can relaunch. [R13]
void fire_and_forget(const char* library) {
  Device device(library, tiny(0, 1'000'000));
  for (int n = 0; n < 100; ++n) {
    Request* request = device.post(Opcode::kNoop);
    CHECK(eventually([&] { return request->answered(); }));
    device.engine->drop(request);
  }
}

void memory_is_the_workers_own(const char* library) {
  Device device(library, tiny(500'000, 20'000'000));
  auto* const block = static_cast<u8*>(fake_cuda_device_memory(1 << 16));
  Pool& pool = *device.engine->pool;
  Pool::Rented rented = pool.rent(1024, 0, 1, 0);
  CHECK_EQUAL(rented.block, kNone);
  CHECK(rented.grow >= 1024);  // the engine never allocates a device's memory
  pool.add_memory(0, block, 1 << 16);
  rented = pool.rent(1024, 0, 1, 0);
  CHECK(rented.block != kNone);
  CHECK(pool.base(rented.block) == block);
  Outgoing message;
  message.slot.opcode = u16(Opcode::kAllocate);
  auto& allocate = *reinterpret_cast<AllocateMessage*>(message.slot.payload);
  allocate = {0, 1024, rented.block, 0};
  u64 handle = 0;
  CHECK(device.grain->ring.post_allocate(*device.grain, message, handle) == Post::kPosted);
  CHECK_EQUAL(int(device.outcome(message.request)), int(Status::kOk));
  message.request = nullptr;
  CHECK(device.grain->ring.post(*device.grain, message) == Post::kPosted);  // the same once more
  CHECK_EQUAL(int(device.outcome(message.request)), int(Status::kHandleTaken));
  message = {};
  message.slot.opcode = u16(Opcode::kRelease);
  message.slot.payload[0] = handle;
  message.block = rented.block;
  CHECK(device.grain->ring.post(*device.grain, message) == Post::kPosted);
  CHECK_EQUAL(int(device.outcome(message.request)), int(Status::kOk));
  CHECK_EQUAL(int(device.outcome(device.post(Opcode::kRead, nullptr, handle))),
              int(Status::kStaleHandle));
}

void two_rings_leave_together(const char* library) {
  Device device(library, tiny(100'000, 1'000'000));
  CHECK_EQUAL(int(device.outcome(device.post(Opcode::kNoop))), int(Status::kOk));
  Grain* own = device.engine->make_grain(true);
  for (int n = 0; n < 60; ++n) {
    Request* here = device.post(Opcode::kNoop);
    Request* there = device.post(Opcode::kNoop, own);
    CHECK_EQUAL(int(device.outcome(there)), int(Status::kOk));
    CHECK_EQUAL(int(device.outcome(here)), int(Status::kOk));
  }
}

void idle_parks_and_stays_parked(const char* library) {
  Device device(library, tiny(100'000, 20'000'000));
  CHECK_EQUAL(int(device.outcome(device.post(Opcode::kNoop))), int(Status::kOk));
  CHECK(eventually([&] { return device.engine->state() == EngineState::kParked; }));
  const u64 launches = fake_cuda_counts().launches;
  CHECK(device.engine->park(kLimit));
  CHECK_EQUAL(fake_cuda_counts().launches, launches);
}

void quiesced_holds_launches(const char* library) {
  Device device(library, tiny(100'000, 20'000'000));
  CHECK_EQUAL(int(device.outcome(device.post(Opcode::kNoop))), int(Status::kOk));
  device.engine->begin_quiesced();
  CHECK(device.engine->park(kLimit));
  const u64 launches = fake_cuda_counts().launches;
  Request* request = device.post(Opcode::kNoop);
  CHECK(!device.engine->wait(*request, 5'000'000));
  CHECK_EQUAL(fake_cuda_counts().launches, launches);
  device.cuda->use_kernel(fake_cuda_ring_kernel());
  device.engine->end_quiesced();
  CHECK_EQUAL(int(device.outcome(request)), int(Status::kOk));
}

// A full GPU: the launch waits in its queue, which is no stall, and it is not launched twice.
void a_busy_device_is_starting(const char* library) {
  EngineOptions options = tiny(100'000, 20'000'000);
  options.stall_ns = 20'000'000;
  Device device(library, options);
  fake_cuda_hold_launches(1);
  Request* request = device.post(Opcode::kNoop);
  CHECK(!device.engine->wait(*request, 100'000'000));
  CHECK(device.engine->state() == EngineState::kStarting);
  fake_cuda_hold_launches(0);
  CHECK_EQUAL(int(device.outcome(request)), int(Status::kOk));
  CHECK_EQUAL(device.engine->snapshot().launches, 1u);
}

// A user's thread: another context current, a capture under way.
void a_poster_keeps_its_context(const char* library) {
  Device device(library, tiny(0, 1'000'000));
  const FakeCounts before = fake_cuda_counts();
  int theirs = 0;
  std::thread poster([&] {
    device.api->context_set(&theirs);
    for (int n = 0; n < 50; ++n) {
      CHECK_EQUAL(int(device.outcome(device.post(Opcode::kNoop))), int(Status::kOk));
    }
    cuda::Context now = nullptr;
    device.api->context_get(&now);
    CHECK(now == &theirs);
    int mode = 0;
    device.api->exchange_capture_mode(&mode);
    CHECK_EQUAL(mode, 0);
  });
  poster.join();
  CHECK_EQUAL(fake_cuda_counts().wrong_context, before.wrong_context);
  CHECK_EQUAL(fake_cuda_counts().in_capture, before.in_capture);
}

// With a parked engine and `stop` there is nothing left to ask the driver, at exit least of all.
void closing_makes_no_call(const char* library) {
  Device device(library, tiny(100'000, 20'000'000));
  CHECK_EQUAL(int(device.outcome(device.post(Opcode::kNoop))), int(Status::kOk));
  CHECK(device.engine->park(kLimit));
  // The keeper may be between its look at the epoch and its query.
  u64 calls = 0;
  CHECK(eventually([&] {
    const u64 now = fake_cuda_counts().calls;
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    calls = fake_cuda_counts().calls;
    return calls == now;
  }));
  CHECK(device.engine->close(0));
  CHECK_EQUAL(fake_cuda_counts().calls, calls);
}

void stop_ends_a_running_launch(const char* library) {
  Device device(library, tiny(1'000'000'000, 1'000'000'000));
  CHECK_EQUAL(int(device.outcome(device.post(Opcode::kNoop))), int(Status::kOk));
  CHECK(device.engine->state() == EngineState::kRunning);
  CHECK(device.engine->close(0));
}

constexpr u64 kItems = 256;

// z[i] = x[i] + 1; an index beyond `sizes[0]` is a fault.
extern "C" void add_one(void* const* data, const i64* sizes, const i64*, const u64*,
                        const i64* space, i64 begin, i64 end, i64* fault) {
  if (space[0] > sizes[0]) {
    fault[0] = 1;
    fault[3] = sizes[0];
    return;
  }
  const auto* x = static_cast<const u64*>(data[0]);
  auto* z = static_cast<u64*>(data[1]);
  for (i64 i = begin; i < end; ++i) z[i] = x[i] + 1;
}

// Copies in, a launch and copies out of one grain, among messages that must keep their place; the
// staging chunk that comes back is the only way to see the device's memory.
void works_keep_the_order(const char* library) {
  Device device(library, tiny(100'000, 1'000'000));
  device.cuda->use_wide(7, fake_cuda_wide_kernel(reinterpret_cast<void*>(&add_one), 2, 2, 0), true);
  const u64 bytes = kItems * sizeof(u64);
  auto* const memory = static_cast<u8*>(fake_cuda_device_memory(2 * bytes));
  const u64 before = fake_cuda_counts().wrong_context;
  for (u64 turn = 0; turn < 40 / kShare; ++turn) {
    const auto copy = [&](WorkKind kind, u64 at, u32 chunk, void* destination) {
      Outgoing message;
      message.slot.opcode = u16(destination ? Opcode::kRead : Opcode::kWrite);
      message.chunk = chunk;
      message.destination = destination;
      message.destination_bytes = destination ? u32(bytes) : 0;
      auto work = device.engine->new_work(kind);
      const u64 here = reinterpret_cast<u64>(device.engine->chunk(chunk));
      work->to = destination ? here : reinterpret_cast<u64>(memory) + at;
      work->from = destination ? reinterpret_cast<u64>(memory) + at : here;
      work->bytes = bytes;
      while (device.grain->ring.post_work(*device.grain, message, work) == Post::kFull) {
        CHECK(eventually([&] { return device.grain->ring.might_post(*device.grain); }));
      }
      return message.request;
    };
    std::vector<Request*> requests;
    const u32 chunk = device.engine->take_chunk();
    auto* const words = reinterpret_cast<u64*>(device.engine->chunk(chunk));
    for (u64 n = 0; n < kItems; ++n) words[n] = turn * kItems + n;
    requests.push_back(device.post(Opcode::kNoop));
    requests.push_back(copy(WorkKind::kCopyIn, 0, chunk, nullptr));
    Outgoing launch;
    launch.slot.opcode = u16(Opcode::kCompute);
    auto work = device.engine->new_work(WorkKind::kLaunch);
    const WideLayout at(2, 2, 0);
    work->kernel = 7;
    work->may_fault = true;
    work->words.assign(at.words, 0);
    work->words[0] = reinterpret_cast<u64>(memory);
    work->words[1] = reinterpret_cast<u64>(memory) + bytes;
    work->words[at.sizes] = work->words[at.sizes + 1] = kItems;
    const bool too_far = turn % 5 == 4;
    work->indices = work->words[at.space] = work->words[at.begin + 1] = kItems + too_far;
    while (device.grain->ring.post_work(*device.grain, launch, work) == Post::kFull) {
      CHECK(eventually([&] { return device.grain->ring.might_post(*device.grain); }));
    }
    std::vector<u64> seen(kItems);
    Request* const read = copy(WorkKind::kCopyOut, bytes, device.engine->take_chunk(), seen.data());
    requests.push_back(device.post(Opcode::kBarrier));
    CHECK(device.engine->wait(*launch.request, kLimit));
    CHECK_EQUAL(launch.request->fault[3], i64(too_far ? kItems : 0));
    const Status launched = device.outcome(launch.request);
    CHECK_EQUAL(int(launched), int(too_far ? Status::kOutOfBounds : Status::kOk));
    CHECK_EQUAL(int(device.outcome(read)), int(Status::kOk));
    if (!too_far) {
      for (u64 n = 0; n < kItems; ++n) CHECK_EQUAL(seen[n], turn * kItems + n + 1);
    }
    for (Request* request : requests) CHECK_EQUAL(int(device.outcome(request)), int(Status::kOk));
    if (turn % 8 == 0) {
      device.engine->begin_quiesced();
      CHECK(device.engine->park(kLimit));
      device.engine->end_quiesced();
    }
  }
  CHECK_EQUAL(fake_cuda_counts().wrong_context, before);
  CHECK_EQUAL(device.engine->snapshot().pending, 0u);
}

// A stream that is busy with somebody else's work: the window waits, and nothing new starts in it.
void quiesced_waits_for_works(const char* library) {
  Device device(library, tiny(100'000, 20'000'000));
  CHECK_EQUAL(int(device.outcome(device.post(Opcode::kNoop))), int(Status::kOk));
  auto* const memory = static_cast<u8*>(fake_cuda_device_memory(4096));
  const auto fill = [&] {
    Outgoing message;
    message.slot.opcode = u16(Opcode::kWrite);
    auto work = device.engine->new_work(WorkKind::kFill);
    work->to = reinterpret_cast<u64>(memory);
    work->bytes = 4096;
    CHECK(device.grain->ring.post_work(*device.grain, message, work) == Post::kHeld);
    return message.request;
  };
  CHECK(device.engine->park(kLimit));
  fake_cuda_hold_launches(1);
  Request* const under_way = fill();
  device.engine->begin_quiesced();
  CHECK(!device.engine->park(5'000'000));
  fake_cuda_hold_launches(0);
  CHECK(device.engine->park(kLimit));
  CHECK_EQUAL(int(device.outcome(under_way)), int(Status::kOk));
  Request* const late = fill();
  CHECK(!device.engine->wait(*late, 5'000'000));
  device.engine->end_quiesced();
  CHECK_EQUAL(int(device.outcome(late)), int(Status::kOk));
}

std::atomic<bool> gate{false};

extern "C" void endless(void* const*, const i64*, const i64*, const u64*, const i64*, i64, i64,
                        i64*) {
  while (!gate) std::this_thread::yield();
}

// It is named like one in the ring; one that waits for a busy device is no stall. [R6]
void a_launch_that_never_ends_is_a_stall(const char* library) {
  EngineOptions options = tiny(100'000, 20'000'000);
  options.stall_ns = 50'000'000;
  Device device(library, options);
  CHECK_EQUAL(int(device.outcome(device.post(Opcode::kNoop))), int(Status::kOk));
  CHECK(device.engine->park(kLimit));
  device.cuda->use_wide(7, fake_cuda_wide_kernel(reinterpret_cast<void*>(&endless), 1, 1, 0), true);
  fake_cuda_hold_launches(1);
  Outgoing launch;
  launch.slot.opcode = u16(Opcode::kCompute);
  auto work = device.engine->new_work(WorkKind::kLaunch);
  work->kernel = 7;
  work->words.assign(WideLayout(1, 1, 0).words, 0);
  CHECK(device.grain->ring.post_work(*device.grain, launch, work) == Post::kHeld);
  Request* const behind = device.post(Opcode::kNoop);
  CHECK(!device.engine->wait(*launch.request, 200'000'000));
  CHECK(device.engine->state() != EngineState::kFailed);
  fake_cuda_hold_launches(0);
  const u64 id = launch.request->id;
  CHECK_EQUAL(int(device.outcome(launch.request)), int(Status::kRingStalled));
  CHECK_EQUAL(int(device.outcome(behind)), int(Status::kRingStalled));
  CHECK_EQUAL(device.engine->stall().request, id);
  CHECK_EQUAL(device.engine->stall().grain, device.grain->index);
  CHECK(!device.engine->close(0));  // it may still write
  CHECK(!device.engine->close(0));  // and so it is for whoever asks again
  stalled_for_good = device.engine;
  gate = true;
}

// A thread that frees memory waits for a kernel that never ends, and holds the driver's lock: the
// keeper cannot ask, and those who wait find the stall. [R6]
void a_keeper_inside_the_driver_is_stood_in_for(const char* library) {
  EngineOptions options = tiny(1'000'000'000, 100'000'000'000);
  options.stall_ns = 50'000'000;
  Device device(library, options);
  CHECK_EQUAL(int(device.outcome(device.post(Opcode::kNoop))), int(Status::kOk));
  fake_cuda_keep_queries(1);
  fake_cuda_hang(1);
  Request* const stuck = device.post(Opcode::kNoop);
  CHECK_EQUAL(int(device.outcome(stuck)), int(Status::kRingStalled));
  CHECK(device.engine->state() == EngineState::kFailed);
  CHECK(!device.engine->close(0));
  fake_cuda_hang(0);
  fake_cuda_keep_queries(0);
  CHECK(!fake_cuda_kept_too_long());
  hung_for_good = device.engine;
}

// Whatever comes next would use addresses of a context that is gone.
void a_reset_loses_the_device(const char* library) {
  Device device(library, tiny(0, 1'000'000));
  CHECK_EQUAL(int(device.outcome(device.post(Opcode::kNoop))), int(Status::kOk));
  CHECK(device.engine->park(kLimit));
  const auto launches = fake_cuda_counts().launches;
  fake_cuda_reset(1);
  CHECK_EQUAL(int(device.outcome(device.post(Opcode::kNoop))), int(Status::kDeviceLost));
  CHECK_EQUAL(fake_cuda_counts().launches, launches);
  CHECK(device.cuda->error() == "CUDA_ERROR_CONTEXT_IS_DESTROYED");
  CHECK(!device.engine->close(0));
  fake_cuda_reset(0);
  reset_for_good = device.engine;
}

// Last: an error sticks to the context for good.
void a_fault_answers_everything(const char* library) {
  Device device(library, tiny(1'000'000'000, 1'000'000'000));
  CHECK_EQUAL(int(device.outcome(device.post(Opcode::kNoop))), int(Status::kOk));
  fake_cuda_hold_launches(1);
  CHECK(device.engine->park(kLimit));
  // On a stream, behind it, and in a slot of the ring.
  Outgoing flying;
  flying.slot.opcode = u16(Opcode::kWrite);
  auto work = device.engine->new_work(WorkKind::kFill);
  work->to = reinterpret_cast<u64>(fake_cuda_device_memory(4096));
  work->bytes = 4096;
  CHECK(device.grain->ring.post_work(*device.grain, flying, work) == Post::kHeld);
  Grain* const other = device.engine->make_grain(false);
  Request* pending[] = {flying.request, device.post(Opcode::kNoop),
                        device.post(Opcode::kNoop, other)};
  fake_cuda_fault(700);
  for (Request* request : pending) {
    CHECK_EQUAL(int(device.outcome(request)), int(Status::kDeviceLost));
  }
  CHECK(device.cuda->error() == "CUDA_ERROR_ILLEGAL_ADDRESS");
  CHECK(device.engine->state() == EngineState::kFailed);
  Outgoing late;
  late.slot.opcode = u16(Opcode::kNoop);
  CHECK(device.grain->ring.post(*device.grain, late) == Post::kClosed);
  CHECK(!device.engine->close(0));  // what the device may touch stays
  kept_for_good = device.engine;
}

void a_missing_library_is_a_sentence() {
  std::string why;
  CHECK(cuda::Api::load("libgpures_no_such_driver.so", why) == nullptr);
  CHECK(why.find("libgpures_no_such_driver.so") != std::string::npos);
}

}  // namespace

int main() {
  litmus::Watchdog watchdog("cuda_driver", std::chrono::seconds(200));
  const char* library = GPURES_FAKE_CUDA;
  a_missing_library_is_a_sentence();
  messages_survive_leases(library, 1);
  messages_survive_leases(library, 3);
  messages_survive_leases(library, 1, 1);
  messages_survive_leases(library, 2, 3);
  fire_and_forget(library);
  memory_is_the_workers_own(library);
  two_rings_leave_together(library);
  fake_cuda_poller(2);
  two_rings_leave_together(library);
  idle_parks_and_stays_parked(library);
  stop_ends_a_running_launch(library);
  fake_cuda_poller(0);
  idle_parks_and_stays_parked(library);
  quiesced_holds_launches(library);
  a_busy_device_is_starting(library);
  a_poster_keeps_its_context(library);
  closing_makes_no_call(library);
  stop_ends_a_running_launch(library);
  works_keep_the_order(library);
  quiesced_waits_for_works(library);
  a_launch_that_never_ends_is_a_stall(library);
  a_keeper_inside_the_driver_is_stood_in_for(library);
  a_reset_loses_the_device(library);
  a_fault_answers_everything(library);
  return check::result();
}
