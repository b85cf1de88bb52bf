// Blocks of the pool that no message names: the memory of plain launches in passes.
#include <atomic>
#include <vector>

#include "check.hpp"
#include "host/pool.hpp"
#include "host/stream_work.hpp"

using namespace gpures;

namespace {

// What a plain launch uses beside the ring: no message of the ring may still write there.
void scratch_is_settled() {
  std::atomic<u64> answered[2] = {0, 0};
  std::vector<BlockEntry> table(8);
  std::vector<u8> memory(4096);
  Pool pool(1 << 20, table.data(), table.size(), answered, false);
  pool.add_memory(0, memory.data(), memory.size());
  const u32 first = pool.rent(1024, 0, 1, 0).block;
  pool.give_back(first, 0, 5);  // its Release lies in a slot
  {
    const Pool::Rented other = pool.rent(1024, 0, 2, 0, true);
    CHECK(other.block != kNone && other.block != first);
    const Scratch scratch(pool, other.block);
    CHECK_EQUAL(pool.counts().used_bytes, u64{1024});
  }
  CHECK_EQUAL(pool.counts().used_bytes, u64{0});
  answered[0] = 6;
  const u32 again = pool.rent(1024, 0, 2, 0, true).block;
  CHECK(again != kNone);
  pool.give_back_unused(again);
  CHECK_EQUAL(pool.rent(1024, 0, 1, 0).block, again);
}

}  // namespace

int main() {
  scratch_is_settled();
  return check::result();
}
