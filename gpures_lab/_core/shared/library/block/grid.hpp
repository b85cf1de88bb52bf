// A two-dimensional space shared out among threads, neighbours in a row on neighbouring threads.
#pragma once

#include "block.hpp"

namespace gpures::library {

// Rows [begin, end). Two divisions a thread; from then on a step is two additions.
template <class Block, class Visit>
GPURES_OP void for_each_place(const Block& block, i64 begin, i64 end, i64 columns,
                              const Visit& visit) {
  if (columns <= 0) return;
  const i64 down = block.threads() / columns, right = block.threads() % columns;
  i64 i = begin + block.thread() / columns, j = block.thread() % columns;
  while (i < end) {
    visit(i, j);
    i += down;
    j += right;
    if (j >= columns) {
      j -= columns;
      ++i;
    }
  }
}

}  // namespace gpures::library
