// A pairwise sum in two passes: the tree that Pairwise<T>::sum is made of is cut at a level that
// its length fixes. Every subtree is a block's, then one block adds up what lies above.
#pragma once

#include "../block/pairwise.hpp"
#include "passes.hpp"

namespace gpures::library {

template <class T>
struct PairwiseInPasses {
  using Tree = BlockPairwise<T>;
  static constexpr int kMostLevels = 12;
  static constexpr i64 kMost = i64{1} << kMostLevels;
  static constexpr u64 kBytes = sizeof(T) * static_cast<u64>(kMost);
  static constexpr int kLevelsEach = 4;  // a subtree of 16 leaves is worth a block

  // Levels above the cut.
  static GPURES_OP int above(i64 n) {
    const int levels = Tree::levels_of(n) - kLevelsEach;
    return levels < 0 ? 0 : (levels > kMostLevels ? kMostLevels : levels);
  }

  static GPURES_OP u64 blocks(i64 n) { return n > 0 ? u64{1} << above(n) : 1; }

  // The sums of the subtrees, by path.
  template <class Block, class Load>
  static GPURES_OP void parts(const Block& block, const Pass& pass, const Load& load, i64 n,
                              T* sums) {
    if (n == 0) return;
    const int levels = above(n);
    for_each_part(pass, i64{1} << levels, [&](i64 path) GPURES_LAMBDA {
      const auto node = Tree::descend(n, static_cast<u32>(path), levels);
      if (!node.exists) return;
      const auto shifted = [&](i64 i) GPURES_LAMBDA { return load(node.first + i); };
      const T total = Tree::sum(block, shifted, node.size);
      if (block.thread() == 0) sums[path] = total;
    });
  }

  // By one block, whose threads all get it; as sum_terms() of reductions.hpp. A node's sum lies
  // where its leftmost subtree's did.
  template <class Block>
  static GPURES_OP T whole(const Block& block, i64 n, T* sums) {
    if (n == 0) return T{};
    const int levels = above(n);
    for (int level = levels - 1; level >= 0; --level) {
      const int below = levels - level;
      for_each_strided(
          block,
          [&](i64 path) GPURES_LAMBDA {
            const auto node = Tree::descend(n, static_cast<u32>(path), level);
            if (!node.exists || node.size <= Tree::Order::kLeaf) return;
            const i64 left = path << below;
            sums[left] = add(sums[left], sums[left + (i64{1} << (below - 1))]);
          },
          0, i64{1} << level);
      block.sync();
    }
    return add(T{}, sums[0]);
  }
};

}  // namespace gpures::library
