// The serve loop with a block of real threads, each of which runs its share of every kernel, as on
// a device: under ThreadSanitizer two threads that are not kept apart by a barrier show, whichever
// is faster. The values are checked too.
#include <array>
#include <cstring>
#include <memory>

#include "litmus/support.hpp"
#include "litmus/thread_block.hpp"
#include "shared/library/block/all.hpp"

using namespace gpures;
using namespace gpures::library;
using fake::FakeEnv;
using litmus::ThreadBlock;

namespace {

constexpr u32 kGrain = 1, kBlocks = 8, kThreads = 4;
constexpr u64 kSlots = 64, kElements = 3000, kBlockBytes = u64{1} << 17;

enum KernelId : u32 { kAdd, kSaxpy, kSum, kIntegerSum, kCount, kKernels };

// z[0] counts the calls, and flag[0] says when there were as many as the param. The last thread's
// work: a thread that is ahead of the leader is then seen as well as one that is behind.
struct Count {
  static void run(const ThreadBlock& block, const Call& call) {
    if (block.thread() + 1 != block.threads()) return;
    i64* const z = array<i64>(call, 0);
    z[0] += 1;
    array<i64>(call, 1)[0] = z[0] >= i64(call.params[0]);
  }
};

class KernelEnv final : public FakeEnv {
 public:
  using FakeEnv::FakeEnv;
  int call(const KernelEntry& kernel, const Arguments& a, i64 begin, i64 end) const override {
    const ThreadBlock block(thread(), threads(), block_.scratch, block_.barrier);
    const Call call{a.data, a.sizes, a.shapes, a.params, a.space, begin, end, a.fault};
    switch (kernel.id) {
      case kAdd:
        OnBlock<Elementwise<BinaryIndex<Add, float, float, 0, 1, 2>>>::run(block, call);
        return 0;
      case kSaxpy:
        OnBlock<Elementwise<SaxpyIndex<float, 0, 1, 2>>>::run(block, call);
        return 0;
      case kSum:
        OnBlock<FloatSum<float, 0, 1>>::run(block, call);
        return 0;
      case kIntegerSum:
        OnBlock<IntegerSum<u8, 0, 1>>::run(block, call);
        return 0;
      default:
        Count::run(block, call);
        return 0;
    }
  }
};

KernelEntry entry(u32 id, std::initializer_list<KernelArray> arrays, u8 param_words, u8 flags) {
  KernelEntry made{};
  made.arrays = u8(arrays.size());
  made.param_words = param_words;
  made.indices = 1;
  made.flags = flags;
  made.id = id;
  std::copy(arrays.begin(), arrays.end(), made.array);
  return made;
}

// One ring, its tables, and a block of threads that serves it until the launch is told to leave.
class Worker {
 public:
  Worker() : ring_(kSlots) {
    const KernelArray real{4, kAtLeastN, 0, 0}, one{8, kAtLeastOne, 0, 1};
    kernels_[kAdd] = entry(kAdd, {real, real, real}, 0, kKernelMap);
    kernels_[kSaxpy] = entry(kSaxpy, {real, real, real}, 1, kKernelMap);
    kernels_[kSum] = entry(kSum, {real, {4, kOnlyOne, 0, 1}}, 0, kKernelReduction | kKernelWhole);
    // A user's with loops: slices, whose lengths are measured.
    kernels_[kIntegerSum] =
        entry(kIntegerSum, {{1, kAtLeastN, 0, 0}, one}, 0, kKernelReduction | kKernelUser);
    kernels_[kCount] = entry(kCount, {one, one}, 1, kKernelUser);
    for (u32 k = 0; k < kKernels; ++k) table_[k] = &kernels_[k];
    for (u32 b = 0; b < kBlocks; ++b) {
      blocks_[b] = {reinterpret_cast<u64>(memory_.data() + b * kBlockBytes), kBlockBytes, 0, 0};
    }
    engine_.control = &control_;
    engine_.shared = &shared_;
    engine_.states = ring_.view.state;
    engine_.handles = handles_.data();
    engine_.blocks = blocks_.data();
    engine_.holders = holders_.data();
    engine_.kernels = table_.data();
    engine_.staging = staging_.data();
    engine_.handle_capacity = handles_.size();
    engine_.block_capacity = kBlocks;
    engine_.kernel_capacity = kKernels;
    engine_.staging_chunks = 1;
    engine_.linger_ticks = engine_.lease_ticks = u64{1} << 60;
    engine_.publish_ticks = 5000;
    engine_.rings = 1;
  }

  void launch() {
    ++epoch_;
    block_ = std::make_unique<fake::Block>(kThreads, 0);
    for (u32 t = 0; t < kThreads; ++t) {
      threads_.emplace_back([this, t] {
        KernelEnv env(*block_, t);
        RingView ring = ring_.view;
        serve(static_cast<FakeEnv&>(env), engine_, ring, epoch_);
        if (t == 0) count_out<HostWords>(engine_, epoch_, epoch_);
      });
    }
  }
  void leave() {
    HostWords::store_release_sys(control_.park_epoch.value, epoch_);
    for (auto& thread : threads_) thread.join();
    threads_.clear();
    CHECK(has_exited<HostWords>(control_, epoch_));
  }

  template <class Message>
  u64 post(Opcode opcode, const Message& message, u16 flags = 0) {
    Slot slot{};
    slot.request = 1;
    slot.grain = kGrain;
    slot.opcode = u16(opcode);
    slot.flags = flags;
    std::memcpy(slot.payload, &message, sizeof message);
    commit<HostWords>(ring_.slot(next_), slot, next_);
    return next_++;
  }
  u64 compute(u32 kernel, u64 n, std::initializer_list<u64> words, u16 flags = 0) {
    ComputeMessage message{kernel, kernels_[kernel].arrays, kernels_[kernel].param_words, 1, 0, n,
                           {}};
    message.in_page = words.size() > kInlineWords;
    std::copy(words.begin(), words.end(), message.in_page ? page() : message.words);
    return post(Opcode::kCompute, message, flags);
  }
  CompletionEntry answer(u64 position) {
    while (!is_published<HostWords>(ring_.completion(position), position)) {
      std::this_thread::yield();
    }
    return ring_.completion(position);
  }
  void expect(u64 position, Status status) {
    CHECK_EQUAL(int(answer(position).status), int(status));
  }
  u64* page() { return ring_.page(next_); }
  u64* page_of(u64 position) { return ring_.page(position); }
  u8* staging() { return staging_.data(); }
  void cancel() { write_cancel<HostWords>(*ring_.view.control, cancels_++, kGrain, next_); }
  void tell_cancel() { HostWords::store_release_sys(control_.cancels.value, cancels_); }
  const u64& progress() const { return ring_.view.control->beat.value; }

  // A program, as Writes of its owner would have put it there: Count and a Fill, in a loop.
  u64 make_program(u64 count, u64 flag, u64 filled) {
    const u64 handle = make_handle(kProgram, 1);
    handles_[kProgram] = {handle, sizeof program_, reinterpret_cast<u64>(&program_), kProgramOwner,
                          7};
    program_.header = {2, 1, 4, 16, 0, 0, 0, 0};
    Slot& first = program_.steps[0];
    first.sequence = 0;
    first.request = 3;
    first.grain = kGrain;
    first.opcode = u16(Opcode::kCompute);
    const ComputeMessage compute{kCount, 2, 1, 1, 1, 1, {}};
    std::memcpy(first.payload, &compute, sizeof compute);
    program_.text[0] = count;
    program_.text[1] = flag;
    Slot& second = program_.steps[1];
    second.sequence = 3;
    second.request = 1;
    second.grain = kGrain;
    second.opcode = u16(Opcode::kWrite);
    const TransferMessage fill{filled, 0, 4 * kElements, kFill, 0, 4};
    std::memcpy(second.payload, &fill, sizeof fill);
    const float two = 2;
    std::memcpy(program_.text + 3, &two, sizeof two);
    program_.late[0] = 0;  // step 0, param 0, word 0 of the page
    return handle;
  }

  const u8* block(u32 number) const { return memory_.data() + number * kBlockBytes; }

 private:
  static constexpr u32 kProgram = 60;
  struct Program {
    ProgramHeader header;
    Slot steps[2];
    u64 late[1], text[4];
    BoundStep bound[2];
    u64 words[16];
  };
  litmus::RingMemory ring_;
  std::vector<u8> memory_ = std::vector<u8>(kBlocks * kBlockBytes);
  std::vector<u8> staging_ = std::vector<u8>(kStagingChunkBytes);
  std::array<HandleEntry, 64> handles_{};
  std::array<BlockEntry, kBlocks> blocks_{};
  std::array<u64, kBlocks> holders_{};
  std::array<KernelEntry, kKernels> kernels_{};
  std::array<KernelEntry*, kKernels> table_{};
  alignas(64) Program program_{};
  EngineControl control_{};
  WorkerShared shared_{};
  EngineView engine_{};
  std::unique_ptr<fake::Block> block_;
  std::vector<std::thread> threads_;
  u64 epoch_ = 0, next_ = 0, cancels_ = 0;
};

u64 handle(u32 id) { return make_handle(id, 1); }

void one_round(Worker& worker, u64 generation) {
  const u64 x = make_handle(1, generation), y = make_handle(2, generation),
            z = make_handle(3, generation), one = make_handle(4, generation),
            flag = make_handle(5, generation), bytes = make_handle(6, generation);
  const u64 handles[] = {x, y, z, one, flag, bytes};
  for (u32 h = 0; h < 6; ++h) {
    const u64 size = h < 3 ? 4 * kElements : h < 5 ? 8 : 4 * kElements;
    worker.post(Opcode::kAllocate, AllocateMessage{handles[h], size, h, h != 2});
  }
  // Written from a page, from staging, and filled.
  auto* const page = reinterpret_cast<float*>(worker.page());
  for (u32 e = 0; e < 1000; ++e) page[e] = float(e);
  worker.post(Opcode::kWrite, TransferMessage{x, 0, 4000, kPage, 0, 0});
  for (u32 e = 0; e < kElements; ++e) reinterpret_cast<float*>(worker.staging())[e] = 1;
  worker.post(Opcode::kWrite, TransferMessage{y, 0, 4 * kElements, kStaging, 0, 0});
  worker.page()[0] = 3;
  worker.post(Opcode::kWrite, TransferMessage{bytes, 1, 2000, kFill, 0, 1});
  worker.compute(kAdd, kElements, {x, y, z});
  const float a = 0.5f;
  u64 bits = 0;
  std::memcpy(&bits, &a, sizeof a);
  worker.compute(kSaxpy, kElements, {z, x, y, bits});
  const u64 four = make_handle(7, generation);
  worker.post(Opcode::kAllocate, AllocateMessage{four, 4, 6, 0});
  worker.compute(kSum, kElements, {y, four});
  const u64 read = worker.post(Opcode::kRead, TransferMessage{four, 0, 4, kPage, 0, 0});
  worker.compute(kIntegerSum, 4 * kElements, {bytes, one});
  const u64 summed = worker.post(Opcode::kRead, TransferMessage{one, 0, 8, kPage, 0, 0});
  float total;
  worker.expect(read, Status::kOk);
  std::memcpy(&total, worker.page_of(read), sizeof total);
  // z = x + 1, y = z / 2 + x: 1.5 * (0 + ... + 999) + kElements / 2, all exact.
  CHECK_EQUAL(double(total), 1.5 * 999 * 500 + 0.5 * kElements);
  worker.expect(summed, Status::kOk);
  CHECK_EQUAL(worker.page_of(summed)[0], u64{6000});

  // A program that ends when a thread other than the leader says so.
  const u64 program = worker.make_program(one, flag, z);
  for (u64 more = 3; more <= 5; more += 2) {
    worker.page()[0] = 6000 + more;
    const u64 ran =
        worker.post(Opcode::kRunProgram, RunProgramMessage{program, 100, flag, 1, 8, 1});
    worker.expect(ran, Status::kOk);
    CHECK_EQUAL(worker.answer(ran).value, (more == 3 ? u64{3} : u64{2}));
  }
  // One that does not bind.
  worker.page()[0] = 0;
  worker.expect(worker.post(Opcode::kRunProgram, RunProgramMessage{program, 1, 0, 1, 8, 0}),
                Status::kBadMessage);

  // A member of a batch that fails, and one after it.
  const u16 member = kBatchMember | 2 << kBatchLaneShift;
  worker.compute(kAdd, kElements + 1, {x, y, z}, member);
  const u64 after = worker.compute(kAdd, kElements, {x, y, z}, member);
  worker.expect(after, Status::kCancelled);
  for (const u64 each : handles) worker.post(Opcode::kRelease, ReleaseMessage{each});
  worker.post(Opcode::kRelease, ReleaseMessage{four});
  worker.expect(worker.post(Opcode::kBarrier, ReleaseMessage{0}), Status::kOk);
}

void cancelled_while_it_runs(Worker& worker) {
  worker.post(Opcode::kAllocate, AllocateMessage{handle(1), 8, 0, 1});
  worker.post(Opcode::kAllocate, AllocateMessage{handle(2), 8, 1, 1});
  worker.post(Opcode::kAllocate, AllocateMessage{handle(3), 4 * kElements, 2, 1});
  const u64 program = worker.make_program(handle(1), handle(2), handle(3));
  worker.page()[0] = ~u64{0} >> 1;
  const u64 endless = worker.post(Opcode::kRunProgram,
                                  RunProgramMessage{program, u64{1} << 40, handle(2), 1, 8, 1});
  const u64 behind = worker.compute(kAdd, 1, {handle(3), handle(3), handle(3)});
  worker.cancel();
  worker.tell_cancel();
  worker.expect(endless, Status::kCancelled);
  worker.expect(behind, Status::kCancelled);
}

// The next launch goes on with it.
void left_while_it_runs(Worker& worker) {
  const u64 program = worker.make_program(handle(1), handle(2), handle(3));
  worker.page()[0] = ~u64{0} >> 1;
  const u64 long_one = worker.post(Opcode::kRunProgram,
                                   RunProgramMessage{program, 4000 / litmus::kShare, 0, 1, 8, 1});
  while (HostWords::load_acquire_sys(worker.progress()) == 0) std::this_thread::yield();
  worker.leave();
  worker.launch();
  worker.expect(long_one, Status::kOk);
  CHECK_EQUAL(worker.answer(long_one).value, 4000 / litmus::kShare);
}

}  // namespace

int main() {
  litmus::Watchdog watchdog("a block of threads");
  Worker worker;
  worker.launch();
  for (u64 generation = 2; generation < 2 + 24 / litmus::kShare; ++generation) {
    one_round(worker, generation);
    ++watchdog.reached;
    if (generation % 2 == 0) {
      worker.leave();
      worker.launch();
    }
  }
  cancelled_while_it_runs(worker);
  left_while_it_runs(worker);
  worker.leave();
  return check::result();
}
