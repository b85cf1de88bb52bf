// The worker's tables, and the checks every message passes before memory is touched. [R10]
#pragma once

#include "layout.hpp"

namespace gpures {

struct Resolved {
  Status status;
  HandleEntry* entry;  // valid when status is kOk
};

GPURES_HD Resolved resolve(const EngineView& engine, u64 handle, u32 grain) {
  const u32 id = handle_id(handle);
  if (handle_generation(handle) == 0 || id >= engine.handle_capacity) {
    return {Status::kStaleHandle, nullptr};
  }
  HandleEntry* entry = engine.handles + id;
  if (entry->handle != handle) return {Status::kStaleHandle, nullptr};
  if (entry->grain != grain) return {Status::kForeignHandle, nullptr};
  return {Status::kOk, entry};
}

// Written so that no sum can overflow.
GPURES_HD bool fits(u64 offset, u64 bytes, u64 capacity) {
  return bytes <= capacity && offset <= capacity - bytes;
}

}  // namespace gpures
