// A few driver calls in our context on whatever thread this is: a poster's thread is the user's,
// and its context and its stream capture must be as they were when the guard goes.
#pragma once

#include "cuda/api.hpp"

namespace gpures::cuda {

class ContextGuard {
 public:
  ContextGuard(const Api& api, Context ours) : api_(api) {
    api_.context_get(&before_);
    if (before_ != ours) result_ = api_.context_set(ours);
    changed_ = before_ != ours && result_ == kSuccess;
    // Else a query would end a capture that the thread has under way.
    api_.exchange_capture_mode(&mode_);
  }
  ~ContextGuard() {
    api_.exchange_capture_mode(&mode_);
    if (changed_) api_.context_set(before_);
  }
  ContextGuard(const ContextGuard&) = delete;
  // Not kSuccess: ours is gone (a reset of the device, say), and every pointer of it with it.
  Result result() const { return result_; }

 private:
  const Api& api_;
  Context before_ = nullptr;
  Result result_ = kSuccess;
  int mode_ = kCaptureRelaxed;
  bool changed_ = false;
};

}  // namespace gpures::cuda
