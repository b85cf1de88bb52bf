// The library's device code on blocks of real threads, the blocks of one launch at once: under
// ThreadSanitizer a barrier that is missing shows, and two blocks that touch the same place. What
// they compute is compared with the host's code, in slices too.
#include <memory>
#include <utility>
#include <vector>

#include "litmus/support.hpp"
#include "litmus/thread_block.hpp"
#include "shared/library/block/all.hpp"
#include "shared/library/wide/all.hpp"

using namespace gpures;
using namespace gpures::library;
using litmus::ThreadBlock;

namespace {

constexpr u32 kThreads = 3;  // few, for each pair to be seen; of any number a kernel must be right
constexpr i64 kMany = 9001;  // more than a tile, a part, a leaf of a sum; the last one short

// A call's words.
struct Given {
  std::vector<std::vector<u64>> arrays;  // bytes, really
  std::vector<i64> sizes, shapes, space;
  std::vector<u64> params = std::vector<u64>(4);
  i64 fault[kFaultWords] = {};

  template <class T>
  T* add(i64 size) {
    arrays.emplace_back((u64(size) * sizeof(T) + 15) / 8 + 2, 0);
    sizes.push_back(size);
    T* const at = reinterpret_cast<T*>(arrays.back().data());
    for (i64 k = 0; k < size; ++k) at[k] = convert<T>(k * 7919 % 101);
    return at;
  }
  Call call(std::vector<void*>& data, i64 begin, i64 end) {
    data.clear();
    for (auto& array : arrays) data.push_back(array.data());
    return {data.data(),  sizes.data(), shapes.data(), params.data(),
            space.data(), begin,        end,           fault};
  }
};

template <class Run>
void on_blocks(u32 blocks, const Run& run) {
  std::vector<std::vector<Vector16>> scratch(blocks, std::vector<Vector16>(kScratchBytes / 16));
  std::vector<std::unique_ptr<fake::BlockBarrier>> barriers;
  for (u32 b = 0; b < blocks; ++b)
    barriers.push_back(std::make_unique<fake::BlockBarrier>(kThreads));
  std::vector<std::thread> threads;
  for (u32 b = 0; b < blocks; ++b) {
    for (u32 t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, b, t] {
        run(ThreadBlock(t, kThreads, reinterpret_cast<u8*>(scratch[b].data()), *barriers[b]), b);
      });
    }
  }
  for (auto& thread : threads) thread.join();
}

void compare(const char* name, const Given& got, const Given& expected) {
  if (CHECK(got.arrays == expected.arrays)) return;
  std::fprintf(stderr, "%s\n", name);
}

// By one thread, by a block in `slices`, and in passes by three blocks.
template <class Kernel>
void check_all(const char* name, const Given& given, i64 slices = 1) {
  std::vector<void*> data;
  Given expected = given;
  const i64 n = given.space[0];
  Kernel::run(expected.call(data, 0, n));

  Given got = given;
  std::vector<void*> block_data;
  const Call whole = got.call(block_data, 0, n);
  on_blocks(1, [&](const ThreadBlock& block, u32) {
    for (i64 s = 0; s < slices; ++s) {
      Call slice = whole;
      slice.begin = n * s / slices;
      slice.end = n * (s + 1) / slices;
      OnBlock<Kernel>::run(block, slice);
      block.sync();  // as the serve loop's
    }
  });
  compare(name, got, expected);

  if constexpr (kInPasses<Kernel>) {
    Given wide = given;
    std::vector<void*> wide_data;
    const Call call = wide.call(wide_data, 0, n);
    const WidePlan plan = InPasses<Kernel>::plan(call);
    std::vector<Vector16> memory(plan.scratch_bytes / 16 + 1);
    for (u32 p = 0; p < plan.passes; ++p) {
      const u64 most = plan.lone >> p & 1 ? 1 : 2;  // parts, of which a block takes several
      const u32 blocks = u32(plan.blocks < most ? plan.blocks : most);
      on_blocks(blocks, [&](const ThreadBlock& block, u32 b) {
        InPasses<Kernel>::run(block, Pass{b, blocks, p, reinterpret_cast<u8*>(memory.data())},
                              call);
      });
    }
    compare(name, wide, expected);
  } else if constexpr (OnBlock<Kernel>::kAnyBlocks) {
    Given wide = given;
    std::vector<void*> wide_data;
    const Call call = wide.call(wide_data, 0, n);
    fake::BlockBarrier none(1);  // one that nobody waits at
    on_blocks(2, [&](const ThreadBlock& block, u32 b) {
      const u32 thread = b * kThreads + block.thread();
      OnBlock<Kernel>::run(ThreadBlock(thread, 2 * kThreads, block.scratch(), none), call);
    });
    compare(name, wide, expected);
  }
}

void maps() {
  Given given;
  given.space = {kMany};
  given.add<float>(kMany);
  given.add<float>(kMany);
  given.add<float>(kMany);
  given.params[0] = 0x3f000000;
  check_all<Elementwise<BinaryIndex<Add, float, float, 0, 1, 2>>>("Add", given, 3);
  check_all<Elementwise<BinaryIndex<Add, float, float, 0, 1, 0>>>("Add in place", given, 3);
  check_all<Elementwise<TernaryIndex<Fma, float, 0, 1, 0, 2>>>("Fma", given, 3);
  check_all<Elementwise<SaxpyIndex<float, 0, 1, 1>>>("Saxpy in place", given, 3);
  check_all<Elementwise<FillIndex<float, 0>>>("Fill", given, 3);
  check_all<Elementwise<UnaryIndex<Exp, float, float, 0, 0>>>("Exp in place", given, 3);
  Given bytes;
  bytes.space = {kMany};
  bytes.add<u8>(kMany);
  bytes.add<double>(kMany);
  check_all<Elementwise<UnaryIndex<Convert, double, u8, 1, 0>>>("Cast", bytes, 3);
  check_all<Elementwise<UnaryIndex<Convert, u8, double, 0, 1>>>("Cast", bytes, 3);
}

template <class Kernel, class In, class Out>
void reduction(const char* name, i64 slices, i64 n = kMany) {
  Given given;
  given.space = {n};
  given.add<In>(n);
  given.add<In>(n);
  given.add<Out>(1);
  check_all<Kernel>(name, given, slices);
}

void reductions() {
  reduction<IntegerSum<i16, 0, 2>, i16, u64>("Sum of integers", 3);
  reduction<IntegerDot<u32, 0, 1, 2>, u32, u32>("Dot of integers", 3);
  reduction<FloatSum<float, 0, 2>, float, float>("Sum", 1);
  reduction<FloatSum<double, 0, 2>, double, double>("Sum, many leaves", 1, 300'001);
  reduction<FloatSum<c64, 0, 2>, c64, c64>("Sum of complex numbers", 1);
  reduction<FloatDot<float, 0, 1, 2>, float, float>("Dot", 1);
  reduction<Mean<float, 0, 2>, float, float>("Mean", 1);
  reduction<Mean<i32, 0, 2>, i32, double>("Mean of integers", 1, 20'001);
  reduction<Norm<double, 0, 2>, double, double>("Norm", 1);
  reduction<Extreme<Lowest, float, 0, 2>, float, float>("Min", 3);
  reduction<Extreme<Highest, c64, 0, 2>, c64, c64>("Max of complex numbers", 3);
  reduction<ArgMin<i32, 0, 2>, i32, i64>("ArgMin", 3);
  reduction<ArgMin<c64, 0, 2>, c64, i64>("ArgMin of complex numbers", 3);
}

void scans_and_sorts() {
  Given given;
  given.space = {kMany};
  given.add<i64>(kMany);
  given.add<i64>(kMany);
  check_all<Scan<i64, 0, 1>>("Scan", given, 2);
  check_all<Scan<i64, 0, 0>>("Scan in place", given, 2);
  check_all<Sort<i64, 0, 1>>("Sort", given);
  check_all<Sort<i64, 0, 0>>("Sort in place", given);
  Given reals;
  reals.space = {kMany};
  reals.add<float>(kMany);
  reals.add<float>(kMany);
  check_all<Scan<float, 0, 1>>("Scan of reals", reals, 2);
  check_all<Sort<float, 0, 1>>("Sort of reals", reals);
  reals.space = {1000};
  reals.sizes[0] = reals.sizes[1] = 1000;
  check_all<Sort<float, 0, 0>>("Sort in the scratch area", reals);
}

void indexed() {
  for (const i64 places : {i64{50}, kMany}) {
    Given given;
    given.space = {kMany};
    given.add<float>(places == 50 ? kMany : places);
    i64* const index = given.add<i64>(kMany);
    for (i64 k = 0; k < kMany; ++k) index[k] = k * 7919 % places;
    given.add<float>(places == 50 ? places : kMany);
    check_all<Scatter<float, 0, 1, 2>>("Scatter", given, 2);
    given.sizes[0] = places;
    given.sizes[2] = kMany;
    if (places == kMany) check_all<Gather<float, 0, 1, 2>>("Gather", given, 2);
  }
  for (const i64 bins : {i64{10}, i64{9000}}) {
    Given given;
    given.space = {kMany};
    given.add<float>(kMany);
    given.add<i64>(bins);
    given.params[1] = bits_as<u64>(101.0);
    check_all<Histogram<float, 0, 1>>("Histogram", given, 2);
  }
}

void rows() {
  for (const auto& [tall, columns] : {std::pair<i64, i64>{40, 30}, {5, 300}}) {
    Given given;
    given.space = {tall, columns};
    given.shapes = {tall, columns, columns, columns, tall, columns};
    given.add<float>(tall * columns);
    given.add<float>(columns);
    given.add<float>(columns);
    given.add<float>(tall * columns);
    given.params[0] = 0x3c000000;
    check_all<LayerNorm<float, 2, 0, 1, 2, 3>>("LayerNorm", given, 2);
    check_all<LayerNorm<float, 2, 0, 1, 2, 0>>("LayerNorm in place", given, 2);
    check_all<Softmax<float, 2, 0, 3>>("Softmax", given, 2);
    check_all<Softmax<float, 2, 0, 0>>("Softmax in place", given, 2);
    given.space = {tall};
    given.sizes[3] = tall;
    check_all<Gemv<float, 0, 1, 3>>("Gemv", given, 2);
  }
  Given row;
  row.space = {kMany};
  row.shapes = {kMany, kMany, kMany, kMany};
  for (int array = 0; array < 4; ++array) row.add<float>(kMany);
  check_all<Softmax<float, 1, 0, 0>>("Softmax of one row, in place", row);
  check_all<LayerNorm<float, 1, 0, 1, 2, 0>>("LayerNorm of one row, in place", row);
  Given integers;
  integers.space = {3};
  integers.shapes = {3, 300, 300, 3};
  integers.add<i32>(900);
  integers.add<i32>(300);
  integers.add<i32>(3);
  check_all<Gemv<i32, 0, 1, 2>>("Gemv of integers", integers);
}

void grids() {
  Given given;
  given.space = {20, 30};
  given.shapes = {20, 40, 40, 30, 20, 30};
  given.add<float>(20 * 40);
  given.add<float>(40 * 30);
  given.add<float>(20 * 30);
  check_all<Gemm<float, 0, 1, 2>>("Gemm", given, 2);
  Given plate;
  plate.space = {20, 30};
  plate.shapes = {20, 30, 20, 30};
  plate.add<float>(600);
  plate.add<float>(600);
  plate.params[0] = 0x3e000000;
  check_all<HeatStep<float, 0, 1>>("Stencil", plate, 2);
  Given numbers;
  numbers.space = {1003};
  numbers.add<float>(1003);
  numbers.params = {7, 3, 0, 0};
  check_all<Random<Uniform, float, 0>>("Uniform", numbers, 2);
  check_all<Random<Normal, float, 0>>("Normal", numbers, 2);
}

}  // namespace

int main() {
  litmus::Watchdog watchdog("the library on blocks of threads");
  for (void (*part)() : {maps, reductions, scans_and_sorts, indexed, rows, grids}) {
    part();
    ++watchdog.reached;
  }
  return check::result();
}
