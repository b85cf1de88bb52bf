// Address space for blocks: chunks from the driver, cut best-fit, coalesced on return.
// Only pool misses and evictions come here.
#pragma once

#include <map>
#include <set>
#include <vector>

#include "host/mapping.hpp"

namespace gpures {

class Arena {
 public:
  struct Piece {
    u8* base;
    bool pristine;  // never handed out: still zero
  };

  // bytes: a multiple of 256. Grows by doubling, unless another hands over its memory: then a
  // null piece says that add() is needed. Throws std::bad_alloc.
  Piece cut(u64 bytes);
  void grow_by_others() { grows_ = false; }
  // Zeroed memory that stays the caller's.
  void add(u8* base, u64 bytes);
  u64 reserved() const { return reserved_; }
  void give_back(u8* base, u64 bytes);
  void abandon();

 private:
  void insert(u8* base, u64 bytes, bool pristine);

  struct Free {
    u64 bytes;
    bool pristine;
  };
  std::vector<Mapping> chunks_;
  std::map<u8*, Free> by_address_;
  std::set<std::pair<u64, u8*>> by_size_;
  u64 reserved_ = 0;
  bool grows_ = true;
};

}  // namespace gpures
