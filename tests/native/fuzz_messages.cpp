// Malformed messages straight into the ring's slots, past everything the host checks: every field
// wrong in every way, alone and together. The shipped worker must answer each, and write to nothing
// but the sender's allocations.  [R6][R9][R10]
//
// Half of the messages have one field that is surely wrong, and must end in an error. The others
// are noise: they may be right by chance. Usage: fuzz_messages [messages] [seed] [seconds]
#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <random>
#include <vector>

#include "host/engine.hpp"
#include "host/kernel_registry.hpp"
#include "litmus/support.hpp"
#include "shared/cancel.hpp"
#include "shared/kernel_abi.hpp"
#include "shared/ops/program.hpp"
#include "shared/wake.hpp"

using namespace litmus;

namespace {

constexpr u64 kMessages = 200'000;
constexpr u32 kInBatch = 32;
constexpr u64 kBytes = 1000;  // of an allocation; its block has 1,024
constexpr u32 kArrays = 4;    // of each grain
constexpr u32 kSteps = 2;
constexpr u32 kShapeWords = 2;

// Trusts what was checked, as the library does: a wrong size would be seen in the canaries.
void add(void* const* data, const i64*, const i64*, const u64*, const i64*, i64 begin, i64 end,
         i64*) {
  const auto* const x = static_cast<const float*>(data[0]);
  const auto* const y = static_cast<const float*>(data[1]);
  auto* const z = static_cast<float*>(data[2]);
  for (i64 i = begin; i < end; ++i) z[i] = x[i] + y[i];
}

// Two indices, a shape, a parameter: the longest kind of argument list.
void scale(void* const* data, const i64*, const i64* shapes, const u64* params, const i64* space,
           i64 begin, i64 end, i64*) {
  auto* const z = static_cast<float*>(data[0]);
  for (i64 i = begin; i < end; ++i) {
    for (i64 j = 0; j < space[1]; ++j) z[i * shapes[1] + j] = float(params[0]);
  }
}

void total(void* const* data, const i64*, const i64*, const u64*, const i64*, i64 begin, i64 end,
           i64*) {
  const auto* const x = static_cast<const float*>(data[0]);
  auto* const z = static_cast<float*>(data[1]);
  if (begin == 0) *z = 0;
  for (i64 i = begin; i < end; ++i) *z += x[i];
}

struct Kernels {
  u32 add, scale, total;
};

// The registry keeps its entries for good, in memory where LeakSanitizer does not look.
const KernelEntry* volatile kept[3];

Kernels register_kernels() {
  KernelEntry entry{};
  entry.arrays = 3;
  entry.indices = 1;
  entry.flags = kKernelMap;
  for (u32 a = 0; a < 3; ++a) entry.array[a] = {4, kAtLeastN, 1, u8(a == 2)};
  entry.code = u64(add);
  Kernels kernels{};
  kernels.add = KernelRegistry::get().add(entry);
  entry.arrays = 2;
  entry.flags = kKernelReduction;
  entry.array[1] = {4, kAtLeastOne, 1, 1};
  entry.code = u64(total);
  kernels.total = KernelRegistry::get().add(entry);
  entry.arrays = 1;
  entry.indices = 2;
  entry.flags = kKernelMap;
  entry.param_words = 1;
  entry.shape_words = kShapeWords;
  entry.array[0] = {4, kAtLeastN, 2, 1};
  entry.code = u64(scale);
  kernels.scale = KernelRegistry::get().add(entry);
  kept[0] = &KernelRegistry::get().at(kernels.add);
  kept[1] = &KernelRegistry::get().at(kernels.scale);
  kept[2] = &KernelRegistry::get().at(kernels.total);
  return kernels;
}

struct Array {
  u64 handle = 0;
  u32 block = kNone;
};

struct Party {
  Grain* grain = nullptr;
  std::array<Array, kArrays> arrays;
};

class Fuzz {
 public:
  Fuzz(u64 seed, Watchdog& watchdog)
      : random_(seed), watchdog_(watchdog), engine_(options()), kernels_(register_kernels()) {
    engine_.start();
    for (Party& party : parties_) {
      party.grain = engine_.make_grain(false);
      for (Array& array : party.arrays) array = allocate(*party.grain);
    }
    program_ = allocate(*engine_.program_owner(0));
    CHECK(engine_.wait_drained(60'000'000'000));
    // From here on this test is the producer; the engine's own has nothing under way.
    head_ = engine_.snapshot().posted;
    write_program(false);
    for (const Party& victim : victims()) {
      for (const Array& array : victim.arrays) {
        u8* const base = engine_.pool->base(array.block);
        for (u64 b = 0; b < 1024; ++b) base[b] = u8(scramble(array.handle, b));
        std::vector<u8> copy(base, base + 1024);
        canaries_.push_back({base, copy, engine_.view().handles[handle_id(array.handle)]});
      }
    }
  }

  void run(u64 messages, double seconds) {
    const auto since = std::chrono::steady_clock::now();
    while (sent_ < messages) {
      batch();
      if (seconds > 0 && sent_ % 65'536 < kInBatch &&
          std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count() > seconds)
        break;
    }
    engine_.close(0);
    std::printf(
        "%llu messages, %llu surely wrong and refused, %llu of the others refused, "
        "%llu accepted\n",
        static_cast<unsigned long long>(sent_), static_cast<unsigned long long>(refused_),
        static_cast<unsigned long long>(noise_refused_),
        static_cast<unsigned long long>(accepted_));
    CHECK(refused_ > sent_ / 3);
  }

 private:
  struct Canary {
    u8* base;
    std::vector<u8> bytes;
    HandleEntry entry;
  };
  struct Sent {
    Slot slot;
    bool wrong;
  };

  static EngineOptions options() {
    EngineOptions options;
    options.slots = 64;
    options.max_rings = 2;
    options.pool_limit_bytes = 1 << 20;
    return options;
  }

  Party& sender() { return parties_[0]; }
  std::array<Party, 2> victims() const { return {parties_[1], parties_[2]}; }

  u64 draw() { return random_(); }
  u64 below(u64 limit) { return draw() % limit; }
  // Values that break sums, shifts and comparisons.
  u64 edge() {
    constexpr u64 edges[] = {0,
                             1,
                             2,
                             3,
                             4,
                             7,
                             8,
                             31,
                             63,
                             255,
                             999,
                             1000,
                             1001,
                             1023,
                             1024,
                             1025,
                             4095,
                             4096,
                             4097,
                             0xffff,
                             0x10000,
                             0xffffff,
                             0x1000000,
                             0x7fffffff,
                             0x80000000,
                             0xffffffff,
                             0x100000000,
                             u64{1} << 60,
                             u64{1} << 62,
                             ~u64{0} >> 1,
                             u64{1} << 63,
                             ~u64{0} - 1000,
                             ~u64{0} - 1,
                             ~u64{0}};
    const u64 kind = below(4);
    return kind == 0 ? draw() : edges[below(std::size(edges))];
  }
  u64 own() { return sender().arrays[below(kArrays)].handle; }
  u64 foreign() { return parties_[1 + below(2)].arrays[below(kArrays)].handle; }
  // Never a live handle of the sender.
  u64 bad_handle() {
    switch (below(6)) {
      case 0:
        return foreign();
      case 1:
        return own() + (u64{1} << kHandleIdBits);  // another generation
      case 2:
        return own() & ((u64{1} << kHandleIdBits) - 1);
      case 3:
        return make_handle(u32(below(1 << kHandleIdBits)), 1 + below(3)) | u64{1} << 63;
      case 4:
        return 0;
      default:
        return program_.handle;
    }
  }

  Array allocate(Grain& grain) {
    Array array;
    Outgoing message;
    message.slot.opcode = u16(Opcode::kAllocate);
    const Pool::Rented rented = engine_.pool->rent(kBytes, 0, grain.index, 0);
    auto& payload = *reinterpret_cast<AllocateMessage*>(message.slot.payload);
    payload = {0, kBytes, rented.block, 1};
    array.block = rented.block;
    CHECK(grain.ring.post_allocate(grain, message, array.handle) == Post::kPosted);
    engine_.drop(message.request);
    return array;
  }

  template <class Message>
  Message& payload(Slot& slot) {
    return *reinterpret_cast<Message*>(slot.payload);
  }

  Slot valid(Opcode opcode) {
    Slot slot{};
    slot.opcode = u16(opcode);
    slot.grain = sender().grain->index;
    slot.request = draw();
    switch (opcode) {
      case Opcode::kWrite:
      case Opcode::kRead: {
        const u64 offset = below(kBytes), bytes = 1 + below(kBytes - offset);
        payload<TransferMessage>(slot) = {
            own(), offset, bytes, u32(below(2)), u32(below(u32(engine_.view().staging_chunks))), 4};
        break;
      }
      case Opcode::kCompute:
        compute(slot);
        break;
      case Opcode::kRunProgram:
        payload<RunProgramMessage>(slot) = {program_.handle, below(4), below(2) ? own() : 0,
                                            1 + below(3),    4,        0};
        break;
      case Opcode::kAllocate:  // the same handle and block again, once they were released
        payload<AllocateMessage>(slot) = {own(), kBytes, 0, u32(below(2))};
        break;
      case Opcode::kRelease:
        slot.payload[0] = own();
        break;
      default:
        break;
    }
    return slot;
  }

  void compute(Slot& slot) {
    auto& message = payload<ComputeMessage>(slot);
    switch (below(3)) {
      case 0:
        message = {kernels_.add, 3, 0, 1, 0, below(kBytes / 4 + 1), {own(), own(), own()}};
        break;
      case 1:
        message = {kernels_.total, 2, 0, 1, 0, below(kBytes / 4 + 1), {own(), own(), 0}};
        break;
      default: {
        const u64 rows = 1 + below(10), columns = 1 + below(25);
        message = {kernels_.scale, 1, 1, 2, 1, rows, {}};
        page_[0] = columns;
        page_[1] = own();
        page_[2] = 7;
        page_[3] = rows;
        page_[4] = columns;
      }
    }
  }

  // One field of a valid message, made surely wrong.
  Slot one_wrong() {
    switch (below(16)) {
      case 0: {
        Slot slot = valid(Opcode::kNoop);
        slot.opcode = u16(kOpcodeEnd + below(0xffff - kOpcodeEnd));
        return slot;
      }
      case 1: {
        Slot slot = valid(below(2) ? Opcode::kWrite : Opcode::kRead);
        payload<TransferMessage>(slot).handle = bad_handle();
        return slot;
      }
      case 2: {
        Slot slot = valid(below(2) ? Opcode::kWrite : Opcode::kRead);
        auto& message = payload<TransferMessage>(slot);
        message.offset = kBytes + 1 - message.bytes + below(2) * edge() / 2;
        if (message.offset + message.bytes <= kBytes) message.offset = ~u64{0};
        return slot;
      }
      case 3: {
        Slot slot = valid(below(2) ? Opcode::kWrite : Opcode::kRead);
        auto& message = payload<TransferMessage>(slot);
        message.bytes = std::max<u64>(edge(), kBytes + 1);
        return slot;
      }
      case 4: {
        Slot slot = valid(below(2) ? Opcode::kWrite : Opcode::kRead);
        payload<TransferMessage>(slot).place = 3 + u32(below(~0u - 3));
        return slot;
      }
      case 5: {
        Slot slot = valid(below(2) ? Opcode::kWrite : Opcode::kRead);
        auto& message = payload<TransferMessage>(slot);
        message.place = kStaging;
        message.chunk = u32(engine_.view().staging_chunks) +
                        u32(below(~0u - u32(engine_.view().staging_chunks)));
        return slot;
      }
      case 6: {
        Slot slot = valid(Opcode::kWrite);
        auto& message = payload<TransferMessage>(slot);
        message.place = kFill;
        message.element = 17 + edge() / 2;
        return slot;
      }
      case 7: {
        Slot slot = valid(Opcode::kCompute);
        payload<ComputeMessage>(slot).kernel = u32(below(2) ? 0 : 1000 + below(~0u - 1000));
        return slot;
      }
      case 8: {
        Slot slot = valid(Opcode::kCompute);
        auto& message = payload<ComputeMessage>(slot);
        u8* const counts[] = {&message.arrays, &message.param_words, &message.indices};
        *counts[below(3)] += u8(1 + below(255));
        return slot;
      }
      case 9: {
        Slot slot = valid(Opcode::kCompute);
        auto& message = payload<ComputeMessage>(slot);
        (message.kernel == kernels_.scale ? page_[1] : message.words[below(2)]) = bad_handle();
        return slot;
      }
      case 10: {
        Slot slot = valid(Opcode::kCompute);
        payload<ComputeMessage>(slot).n = std::max<u64>(edge(), kBytes / 4 + 1);
        return slot;
      }
      case 11: {
        Slot slot = valid(Opcode::kCompute);
        auto& message = payload<ComputeMessage>(slot);
        message = {kernels_.scale, 1, 1, 2, 1, 10, {}};
        const u64 wrong[] = {26, own(), 7, 10, 25};  // more columns than the shape has
        std::copy(std::begin(wrong), std::end(wrong), page_);
        if (below(2)) page_[0] = std::max<u64>(edge(), 26);
        if (below(2)) page_[3 + below(2)] = std::max<u64>(edge(), 251);  // no room for that shape
        return slot;
      }
      case 12: {
        Slot slot = valid(Opcode::kRunProgram);
        auto& message = payload<RunProgramMessage>(slot);
        switch (below(4)) {
          case 0:
            message.program = below(2) ? own() : foreign();
            break;
          case 1:
            message.every = 0;
            break;
          case 2:
            message.until = foreign();
            break;
          default:
            message.until = own();
            message.item = u32(below(2) ? 3 : 16);
        }
        return slot;
      }
      case 13: {
        Slot slot = valid(Opcode::kAllocate);
        auto& message = payload<AllocateMessage>(slot);
        const Array& victim = parties_[1 + below(2)].arrays[below(kArrays)];
        switch (below(4)) {
          case 0:
            message.handle = victim.handle;
            break;  // taken
          case 1:   // its block is
            message.handle = fresh_handle();
            message.block = victim.block;
            break;
          case 2:
            message.handle = fresh_handle();
            message.block =
                u32(engine_.view().block_capacity + below(~0u - engine_.view().block_capacity));
            break;
          default:
            message.handle = below(2) ? 0 : make_handle((1 << kHandleIdBits) - 1, 1);
        }
        return slot;
      }
      case 14: {
        Slot slot = valid(Opcode::kRelease);
        slot.payload[0] = bad_handle();
        return slot;
      }
      default: {  // a sender that is nobody: none of the handles is its own
        Slot slot = valid(below(2) ? Opcode::kWrite : Opcode::kRelease);
        slot.grain = u32(100 + below(~0u - 200));
        return slot;
      }
    }
  }

  u64 fresh_handle() { return make_handle(1000 + u32(below(1000)), 1 + below(1 << 20)); }

  // Every field noise, some of it near what would be right. What is right runs to its end, so the
  // one thing that is kept small is how often a program repeats.
  Slot noise() {
    Slot slot = valid(Opcode(1 + below(kOpcodeEnd - 1)));
    const u64 changes = 1 + below(6);
    for (u64 n = 0; n < changes; ++n) {
      const u64 field = below(8);
      if (field == 5) slot.flags = u16(draw());
      if (field == 6 && below(4) == 0) slot.opcode = u16(edge());
      if (field == 7) {
        page_[below(8)] = below(2) ? edge() : below(2) ? own() : bad_handle();
      } else if (field < 5) {
        auto* const words = reinterpret_cast<u32*>(slot.payload);
        if (below(2)) {
          words[below(10)] = u32(edge());
        } else {
          slot.payload[field] = below(2) ? edge() : below(2) ? own() : bad_handle();
        }
      }
    }
    if (slot.opcode == u16(Opcode::kRunProgram)) payload<RunProgramMessage>(slot).repeat %= 4;
    // A release of the sender's own would end the game early; they are alive again a batch later.
    return slot;
  }

  void batch() {
    if (below(64) == 0) write_program(true);
    revive();
    // Not mixed: noise may allocate under a handle that was surely wrong before.
    const bool wrong = below(2);
    std::vector<Sent> sent;
    for (u32 n = 0; n < kInBatch; ++n) {
      for (u64& word : page_) word = 0;
      const Slot slot = wrong ? one_wrong() : noise();
      place(slot, n);
      sent.push_back({slot, wrong});
    }
    finish(sent);
    check_canaries();
  }

  // What the batch before released, and what it allocated in its stead.
  void revive() {
    for (const Array& array : sender().arrays) {
      const HandleEntry& entry = engine_.view().handles[handle_id(array.handle)];
      if (entry.handle == array.handle && entry.bytes == kBytes) continue;
      std::vector<Sent> sent;
      const u64 holder = engine_.view().holders[array.block];
      for (const u64 stale : {holder, entry.handle}) {
        if (stale == 0) continue;
        Slot release{};
        release.opcode = u16(Opcode::kRelease);
        release.grain = engine_.view().handles[handle_id(stale)].grain;
        release.payload[0] = stale;
        place(release, u32(sent.size()));
        sent.push_back({release, false});
      }
      Slot again{};
      again.opcode = u16(Opcode::kAllocate);
      again.grain = sender().grain->index;
      payload<AllocateMessage>(again) = {array.handle, kBytes, array.block, 1};
      place(again, u32(sent.size()));
      sent.push_back({again, false});
      finish(sent);
    }
  }

  // A program of the sender's, right or with one word of it wrong.
  void write_program(bool fuzzed) {
    constexpr u64 kBound = 2 * 3 + 3 + kMaxIndices;
    std::vector<u64> image(kPageWords / 8);
    auto& header = *reinterpret_cast<ProgramHeader*>(image.data());
    header = {kSteps, 0, 1, kBound, 0, 0, 0, 0};
    auto* const steps = reinterpret_cast<Slot*>(image.data() + 8);
    steps[0].opcode = u16(Opcode::kCompute);
    steps[0].grain = sender().grain->index;
    payload<ComputeMessage>(steps[0]) = {kernels_.add, 3, 0, 1, 0, 250, {own(), own(), own()}};
    steps[1].opcode = u16(Opcode::kWrite);
    steps[1].grain = sender().grain->index;
    steps[1].request = 1;
    payload<TransferMessage>(steps[1]) = {own(), 8, 8, kPage, 0, 0};
    const u64 words = 8 + kSteps * 8 + 1;
    if (fuzzed) {
      u64& word = image[below(words)];
      word = below(3) ? edge() : bad_handle();
      steps[0].grain = steps[1].grain = sender().grain->index;
      header.position = 0;  // the worker's own words: no message can reach them
    }
    Slot slot{};
    slot.opcode = u16(Opcode::kWrite);
    slot.grain = kProgramOwner;
    payload<TransferMessage>(slot) = {program_.handle, 0, words * 8, kPage, 0, 0};
    std::memcpy(page_of(0), image.data(), words * 8);
    commit_at(slot, 0);
    finish({{slot, false}});
  }

  u8* page_of(u32 n) {
    const RingView& ring = engine_.ring(0).view;
    return ring.pages + ((head_ + n) & (ring.slot_count - 1)) * kPageBytes;
  }

  void place(const Slot& slot, u32 n) {
    std::memcpy(page_of(n), page_, sizeof(page_));
    commit_at(slot, n);
  }

  void commit_at(const Slot& slot, u32 n) {
    const RingView& ring = engine_.ring(0).view;
    commit<HostWords>(ring.slots[(head_ + n) & (ring.slot_count - 1)], slot, head_ + n);
  }

  void finish(const std::vector<Sent>& sent) {
    const RingView& ring = engine_.ring(0).view;
    wake();
    for (u32 n = 0; n < sent.size(); ++n) {
      const u64 position = head_ + n;
      const CompletionEntry& entry = ring.completions[position & (ring.slot_count - 1)];
      for (u64 look = 0; !is_published<HostWords>(entry, position); ++look) {
        if (look % 1024 == 1023) {
          wake();
          std::this_thread::yield();
        }
      }
      judge(sent[n], Status(entry.status));
    }
    head_ += sent.size();
    sent_ += sent.size();
    watchdog_.reached = head_;
  }

  void wake() {
    const WakeState found = after_commit<HostWords>(*engine_.ring(0).view.control);
    if (found != kAwake) engine_.kick(0, found);
  }

  void judge(const Sent& sent, Status status) {
    if (!CHECK(status < Status::kUnfinished)) return;
    if (status == Status::kOk) {
      ++accepted_;
      if (sent.wrong) {
        CHECK(!sent.wrong);
        std::fprintf(stderr, "accepted: opcode %u flags %u payload %llx %llx %llx %llx %llx\n",
                     sent.slot.opcode, sent.slot.flags,
                     static_cast<unsigned long long>(sent.slot.payload[0]),
                     static_cast<unsigned long long>(sent.slot.payload[1]),
                     static_cast<unsigned long long>(sent.slot.payload[2]),
                     static_cast<unsigned long long>(sent.slot.payload[3]),
                     static_cast<unsigned long long>(sent.slot.payload[4]));
      }
    } else {
      ++(sent.wrong ? refused_ : noise_refused_);
    }
  }

  void check_canaries() {
    for (const Canary& canary : canaries_) {
      CHECK(std::memcmp(canary.base, canary.bytes.data(), canary.bytes.size()) == 0);
      const HandleEntry& entry = engine_.view().handles[handle_id(canary.entry.handle)];
      CHECK(std::memcmp(&entry, &canary.entry, sizeof(entry)) == 0);
    }
  }

  std::mt19937_64 random_;
  Watchdog& watchdog_;
  Engine engine_;
  Kernels kernels_;
  std::array<Party, 3> parties_;  // the sender, and two whose memory is the canary
  Array program_;
  std::vector<Canary> canaries_;
  u64 page_[kPageWords / 8] = {};
  u64 head_ = 0, sent_ = 0, refused_ = 0, noise_refused_ = 0, accepted_ = 0;
};

}  // namespace

int main(int count, char** arguments) {
  const u64 messages = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : kMessages / kShare;
  const u64 seed = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 1;
  const double seconds = count > 3 ? std::strtod(arguments[3], nullptr) : 0;
  Watchdog watchdog("malformed messages", std::chrono::seconds(count > 1 ? 3600 : 250));
  Fuzz fuzz(seed, watchdog);
  fuzz.run(messages, seconds);
  return check::result();
}
