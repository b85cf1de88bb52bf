// Pairwise<T>::sum by a block, bit for bit. The tree of a sum is fixed by its length: a leaf's
// eight accumulators go to eight threads, leaves to groups of threads, and the halves are added
// level by level in the scratch area.
#pragma once

#include "../reductions.hpp"
#include "block.hpp"

namespace gpures::library {

template <class T>
struct BlockPairwise {
  using Order = Pairwise<T>;
  static constexpr int kWidth = Order::kWidth;
  // Scratch: accumulators of the leaves under way, sums of leaves, sums of subtrees.
  static constexpr u32 kPartBytes = 8192, kValueBytes = 16384;
  static constexpr int kLeaves = static_cast<int>(kPartBytes / (sizeof(T) * kWidth));
  static constexpr int kMaxLevels =
      sizeof(T) == 4 ? 12 : (sizeof(T) == 8 ? 11 : 10);  // 2^levels sums fit

  template <class Index>
  struct Node {
    Index first, size;
    bool exists;  // the way there does not end in a leaf before
  };

  // Where `levels` turns lead, the highest bit of `path` first; 1 turns right.
  template <class Index>
  static GPURES_OP Node<Index> descend(Index n, u32 path, int levels) {
    Node<Index> node{0, n, true};
    for (int level = levels - 1; level >= 0; --level) {
      const bool right = ((path >> level) & 1) != 0;
      if (node.size <= Order::kLeaf) {
        // A leaf is its own leftmost descendant; it has no other.
        if (right) node.exists = false;
        continue;
      }
      const Index half = static_cast<Index>(Order::left_half(node.size));
      node.first += right ? half : 0;
      node.size = right ? node.size - half : half;
    }
    return node;
  }

  // Turns after which every way has ended in a leaf; right halves are never smaller.
  static GPURES_OP int levels_of(i64 n) {
    int levels = 0;
    for (; n > Order::kLeaf; n -= Order::left_half(n)) ++levels;
    return levels;
  }

  // Accumulator `lane` of a leaf of at least kWidth terms. Loads of two arrays take twice the
  // registers, which the ring's serve loop would have to put away.
  template <int Unroll, class Load>
  static GPURES_OP T accumulate(const Load& load, const Node<int>& leaf, int lane) {
    T total = load(leaf.first + lane);
    GPURES_UNROLL(Unroll)
    for (int i = kWidth; i + kWidth <= leaf.size; i += kWidth) {
      total = add(total, load(leaf.first + i + lane));
    }
    return total;
  }

  // The accumulators' sum, then the terms that do not fill a row of them.
  template <class Load>
  static GPURES_OP T finish(const Load& load, const Node<int>& leaf, const T* part) {
    if (leaf.size < kWidth) return Order::few(load, leaf.first, leaf.size);
    T sums[kWidth];
    for (int lane = 0; lane < kWidth; ++lane) sums[lane] = part[lane];
    for (int step = 1; step < kWidth; step *= 2) {
      for (int lane = 0; lane < kWidth; lane += 2 * step) {
        sums[lane] = add(sums[lane], sums[lane + step]);
      }
    }
    T total = sums[0];
    GPURES_UNROLL(1)
    for (int i = leaf.size / kWidth * kWidth; i < leaf.size; ++i) {
      total = add(total, load(leaf.first + i));
    }
    return total;
  }

  // Terms [first, first + n); `values` holds 2^levels of them. What is counted here fits 32 bits:
  // twice the registers would not fit beside the ring's serve loop.
  template <class Block, class Load>
  static GPURES_OP T subtree(const Block& block, const Load& load, i64 first, i64 terms) {
    constexpr int kUnroll = sizeof(Load) > sizeof(void*) ? 2 : 4;
    T* const parts = reinterpret_cast<T*>(block.scratch());
    T* const values = reinterpret_cast<T*>(block.scratch() + kPartBytes);
    const int n = static_cast<int>(terms), levels = levels_of(terms), count = 1 << levels;
    const int thread = static_cast<int>(block.thread()),
              threads = static_cast<int>(block.threads());
    const auto shifted = [&](i64 i) GPURES_LAMBDA { return load(first + i); };
    for (int base = 0; base < count; base += kLeaves) {
      const int here = count - base < kLeaves ? count - base : kLeaves;
      for (int item = thread; item < here * kWidth; item += threads) {
        const auto leaf = descend(n, static_cast<u32>(base + item / kWidth), levels);
        if (!leaf.exists || leaf.size < kWidth) continue;
        parts[item] = accumulate<kUnroll>(shifted, leaf, item % kWidth);
      }
      block.sync();
      for (int item = thread; item < here; item += threads) {
        const auto leaf = descend(n, static_cast<u32>(base + item), levels);
        if (leaf.exists) values[base + item] = finish(shifted, leaf, parts + item * kWidth);
      }
      block.sync();
    }
    // A node's sum lies where its leftmost leaf's did.
    for (int level = levels - 1; level >= 0; --level) {
      const int below = levels - level;
      for (int path = thread; path < 1 << level; path += threads) {
        const auto node = descend(n, static_cast<u32>(path), level);
        if (!node.exists || node.size <= Order::kLeaf) continue;
        const int left = path << below;
        values[left] = add(values[left], values[left + (1 << (below - 1))]);
      }
      block.sync();
    }
    const T total = values[0];
    block.sync();
    return total;
  }

  // n > 0. Long sums go subtree by subtree; the sums of finished left halves wait in `halves`.
  template <class Block, class Load>
  static GPURES_OP T sum(const Block& block, const Load& load, i64 n) {
    const int levels = levels_of(n);
    if (levels <= kMaxLevels) return subtree(block, load, 0, n);
    T* const halves = reinterpret_cast<T*>(block.scratch() + kPartBytes + kValueBytes);
    const int above = levels - kMaxLevels;
    for (u32 path = 0; path >> above == 0; ++path) {
      const auto node = descend(n, path, above);
      T total = subtree(block, load, node.first, node.size);
      if (block.thread() == 0) {
        int level = above;
        for (u32 turns = path; (turns & 1) != 0; turns >>= 1) total = add(halves[level--], total);
        halves[level] = total;
      }
    }
    block.sync();
    const T total = halves[0];
    block.sync();
    return total;
  }
};

// As sum_terms() of reductions.hpp.
template <class T, class Block, class Load>
GPURES_OP T sum_terms(const Block& block, const Load& load, i64 n) {
  return n == 0 ? T{} : add(T{}, BlockPairwise<T>::sum(block, load, n));
}

// The same by one thread that has the terms for itself, without the stack of a longer sum.
template <class T, class Load>
GPURES_OP T sum_leaf(const Load& load, i64 n) {
  return n == 0 ? T{} : add(T{}, Pairwise<T>::leaf(load, 0, n));
}

}  // namespace gpures::library
