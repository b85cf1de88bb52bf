// A stream of the host, beside the workers: one thread that does works in the order of their start.
// Off unless a threshold is set; it is there so that holding back, reuse and failure run in CI.
#pragma once

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>

#include "host/stream_work.hpp"

namespace gpures {

class HostStream {
 public:
  HostStream();
  // Both by the engine, one after the other. The work lives until it is done.
  void start(u32 slot, const StreamWork& work);
  bool is_done(u32 slot, WorkResult& result);
  u64 progress(u32 slot);  // Driver::progress()
  // False: a work did not end within the limit; its thread goes on alone.
  bool shutdown(u64 limit_ns);

 private:
  struct Shared {  // the thread's too
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::pair<u32, const StreamWork*>> waiting;
    WorkResult results[kWorkSlots];
    bool done[kWorkSlots] = {};
    u64 begun = 0;    // works so far
    u32 running = 0;  // slot of the newest
    bool closing = false, ended = false;
  };
  static void run(std::shared_ptr<Shared> shared);

  std::shared_ptr<Shared> shared_;
  std::thread thread_;
};

}  // namespace gpures
