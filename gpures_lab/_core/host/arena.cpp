#include "host/arena.hpp"

#include <algorithm>

namespace gpures {

namespace {
constexpr u64 kFirstChunk = u64{4} << 20;
constexpr u64 kLargestStep = u64{512} << 20;
}  // namespace

Arena::Piece Arena::cut(u64 bytes) {
  auto fit = by_size_.lower_bound({bytes, nullptr});
  if (fit == by_size_.end()) {
    if (!grows_) return {nullptr, false};
    const u64 step = std::clamp(reserved_, kFirstChunk, kLargestStep);
    chunks_.emplace_back(std::max(step, bytes));
    add(chunks_.back().base(), chunks_.back().bytes());
    fit = by_size_.lower_bound({bytes, nullptr});
  }
  u8* base = fit->second;
  const Free whole = by_address_.at(base);
  by_size_.erase(fit);
  by_address_.erase(base);
  if (whole.bytes > bytes) insert(base + bytes, whole.bytes - bytes, whole.pristine);
  return {base, whole.pristine};
}

void Arena::add(u8* base, u64 bytes) {
  reserved_ += bytes;
  insert(base, bytes, true);
}

// Pristine and used neighbours stay apart: joining them would lose the knowledge of zeros.
void Arena::give_back(u8* base, u64 bytes) {
  auto next = by_address_.lower_bound(base);
  if (next != by_address_.begin()) {
    auto previous = std::prev(next);
    if (previous->first + previous->second.bytes == base && !previous->second.pristine) {
      base = previous->first;
      bytes += previous->second.bytes;
      by_size_.erase({previous->second.bytes, previous->first});
      by_address_.erase(previous);
    }
  }
  if (next != by_address_.end() && base + bytes == next->first && !next->second.pristine) {
    bytes += next->second.bytes;
    by_size_.erase({next->second.bytes, next->first});
    by_address_.erase(next);
  }
  insert(base, bytes, false);
}

void Arena::insert(u8* base, u64 bytes, bool pristine) {
  by_address_.emplace(base, Free{bytes, pristine});
  by_size_.emplace(bytes, base);
}

void Arena::abandon() {
  for (Mapping& chunk : chunks_) chunk.abandon();
}

}  // namespace gpures
