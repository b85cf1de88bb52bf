// A few driver calls in our context on whatever thread this is: a poster's thread is the user's,
// and its context and its stream capture must be as they were when the guard goes.
#pragma once

#include "cuda/api.hpp"

namespace gpures::cuda {

class ContextGuard {
 public:
  ContextGuard(const Api& api, Context ours) : api_(api) {
    api_.context_get(&before_);
    changed_ = before_ != ours;
    if (changed_) api_.context_set(ours);
    // Else a query would end a capture that the thread has under way.
    api_.exchange_capture_mode(&mode_);
  }
  ~ContextGuard() {
    api_.exchange_capture_mode(&mode_);
    if (changed_) api_.context_set(before_);
  }
  ContextGuard(const ContextGuard&) = delete;

 private:
  const Api& api_;
  Context before_ = nullptr;
  int mode_ = kCaptureRelaxed;
  bool changed_ = false;
};

}  // namespace gpures::cuda
