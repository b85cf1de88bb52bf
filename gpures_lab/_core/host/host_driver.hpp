// The host driver: one worker thread a ring, running the shared serve loop without the GIL.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "host/driver.hpp"
#include "host/host_stream.hpp"
#include "host/spin.hpp"
#include "shared/serve.hpp"

namespace gpures {

class HostDriver final : public Driver {
 public:
  // A worker has left: `waits`: a message of its ring came meanwhile; `last`: nobody is in.
  using Left = std::function<void(u32 ring, bool waits, bool last)>;
  HostDriver(std::vector<RingView> rings, u64 spin_ns, Left left);
  ~HostDriver() override;

  bool launch(const EngineView& view, u64 epoch, u64 expected_out) override;
  void wake(u32 ring) override;
  bool shares_core(u32 ring) override;
  void end_lease(const EngineView& view, u64 epoch) override;
  bool is_lost() override { return false; }
  Started start_work(u32 slot, const StreamWork& work, u64& why) override;
  bool is_done(u32 slot, WorkResult& result) override {
    return streams_[slot / kSlotsEach]->is_done(slot, result);
  }
  u64 progress(u32 slot) override { return streams_[slot / kSlotsEach]->progress(slot); }
  bool shutdown(u64 limit_ns) override;

 private:
  struct Launch {
    EngineView view;
    u64 epoch = 0;
    u64 expected_out = 0;
  };
  struct Worker {
    std::thread thread;
    std::mutex mutex;
    std::condition_variable sleeping;
    Cores cores;
  };
  // Owned together with the threads: a stalled worker keeps it alive after the driver is gone.
  struct Shared {
    std::vector<RingView> rings;
    std::vector<std::unique_ptr<Worker>> workers;
    std::mutex mutex;
    std::condition_variable launched, ended;
    std::atomic<u64> epoch{0};
    Launch launch;
    u32 running = 0;  // worker threads alive
    bool closing = false;
    u64 spin_ns = 0;
    Left left;

    void wake(u32 ring);
  };
  class Env;

  static void work(std::shared_ptr<Shared> shared, u32 ring);
  static bool next_launch(Shared& shared, u64 seen, Launch& launch);

  std::shared_ptr<Shared> shared_;
  std::unique_ptr<HostStream> streams_[kStreams];  // each made by its first work
};

}  // namespace gpures
