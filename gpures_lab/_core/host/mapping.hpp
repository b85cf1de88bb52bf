// Memory of the host driver: anonymous mappings, zero-filled, committed on first touch.
#pragma once

#include <sys/mman.h>

#include <new>
#include <utility>

#include "shared/base.hpp"

namespace gpures {

class Mapping {
 public:
  Mapping() = default;
  explicit Mapping(u64 bytes) : bytes_(bytes) {
    void* base = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) throw std::bad_alloc();
    base_ = static_cast<u8*>(base);
  }
  Mapping(Mapping&& other) noexcept { swap(other); }
  Mapping& operator=(Mapping&& other) noexcept {
    swap(other);
    return *this;
  }
  ~Mapping() {
    if (base_) munmap(base_, bytes_);
  }

  u8* base() const { return base_; }
  u64 bytes() const { return bytes_; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(base_);
  }
  // A stalled worker may still touch it: leak rather than unmap under its feet.
  void abandon() { base_ = nullptr; }

 private:
  void swap(Mapping& other) {
    std::swap(base_, other.base_);
    std::swap(bytes_, other.bytes_);
  }
  u8* base_ = nullptr;
  u64 bytes_ = 0;
};

}  // namespace gpures
