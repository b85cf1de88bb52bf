// A device's driver may keep a caller waiting for other threads. Whoever enters it lets go of the
// interpreter's lock first, so that Ctrl-C and other cells get through; the binding says how, and
// where: a finalizer, say, keeps it, and leaves the driver to the keeper.
#pragma once

namespace gpures {

class Unlocked {
 public:
  // `begin` gives what `end` takes, null where this thread holds no such lock.
  static void use(void* (*begin)(), void (*end)(void*), bool (*holds)()) {
    begin_ = begin;
    end_ = end;
    holds_ = holds;
  }
  // This thread holds the lock and must not let go of it: no driver for it.
  static bool is_forbidden() { return allowed_ == 0 && holds_ && holds_(); }

  // While one lives, this thread's caller is ready for what other threads do meanwhile.
  class Allowed {
   public:
    Allowed() { ++allowed_; }
    ~Allowed() { --allowed_; }
    Allowed(const Allowed&) = delete;
  };

  explicit Unlocked(bool wanted) : held_(wanted && allowed_ != 0 && begin_ ? begin_() : nullptr) {}
  ~Unlocked() {
    if (held_) end_(held_);
  }
  Unlocked(const Unlocked&) = delete;

 private:
  static inline void* (*begin_)() = nullptr;
  static inline void (*end_)(void*) = nullptr;
  static inline bool (*holds_)() = nullptr;
  static inline thread_local int allowed_ = 0;
  void* held_;
};

}  // namespace gpures
