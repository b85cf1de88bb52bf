// The host's end of one ring: post, hold back, harvest. One lock; several host threads are
// serialized here, before the ring. [R1][R4]
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <vector>

#include "host/clock_fit.hpp"
#include "host/grain.hpp"
#include "host/histogram.hpp"
#include "host/pool.hpp"
#include "host/request.hpp"
#include "host/spin.hpp"
#include "host/stream_work.hpp"
#include "shared/layout.hpp"

namespace gpures {

class Engine;
class RingHost;
struct Snapshot;

inline constexpr u32 kNoChunk = 0xffffffffu;
inline constexpr u64 kCut = ~u64{0};  // holder of a grain that is being copied: no thread

// A message on its way to a slot, and what the host does when it is answered.
struct Outgoing {
  Slot slot{};
  Request* request = nullptr;
  const void* page = nullptr;  // copied into the slot's page
  u32 page_bytes = 0;
  void* destination = nullptr;  // a Read's data goes here when its completion is taken
  u32 destination_bytes = 0;
  u32 chunk = kNoChunk;                       // staging chunk to give back
  u32 block = kNone;                          // Release: the block that returns to the pool
  u32 kernel = 0;                             // Compute: for the trace
  const std::vector<Grain*>* uses = nullptr;  // RunProgram: other grains that it changes
  bool keeps_id = false;  // Release: the handle lives on without memory (deactivation)
};

struct Held {
  Outgoing message;
  std::vector<u8> page;
  std::vector<Grain*> uses;
  u64 ticket;                        // call order over the ring, for Barrier
  std::unique_ptr<StreamWork> work;  // it goes on a stream, not into a slot
};

// A work on a stream.
struct Flying {
  RingHost* ring = nullptr;
  Grain* grain = nullptr;
  Outgoing message;
  std::unique_ptr<StreamWork> work;
  u64 ticket = 0;
  u32 slot = 0;  // the driver's
};

enum class Post : u8 { kPosted, kHeld, kFull, kClosed };

class RingHost {
 public:
  RingHost(Engine& engine, const RingView& view, std::atomic<u64>& answered);

  // Puts the message into a slot, or behind the grain's held-back ones. kFull, kClosed: nothing
  // was done. `part`: a later part of a transfer under way (see begin_parts).
  Post post(Grain& grain, Outgoing& message, bool part = false);
  // Many small messages (payload in the slot) and one request, whose `parts` is set to their
  // number: one lock, one stamp, one wake-up a call. Returns how many fitted.
  u64 post_batch(Grain& grain, const Slot* messages, u64 count, Request& request);
  // The same with pages, for grain.submit(): messages are made where they are posted. Nothing fits
  // while the grain's messages are held back.
  class Source {
   public:
    virtual void fill(u64 row, Slot& message, u8* page) const = 0;

   protected:
    ~Source() = default;
  };
  u64 post_parts(Grain& grain, u32 lane, const Source& source, u64 first, u64 count,
                 Request& request);
  // For finalizers: never kFull; waits among the held-back ones instead. False: closed.
  bool post_always(Grain& grain, Outgoing& message);
  // Work for a stream, in the grain's order (ring_streams.cpp). `always`: as post_always().
  Post post_work(Grain& grain, Outgoing& message, std::unique_ptr<StreamWork>& work,
                 bool part = false, bool always = false);
  // A copy that the grain's hold, or its sleep, is there for: behind nothing, and refused only at
  // the end. It has a request; false: closed, nothing was done.
  bool post_passing(Grain& grain, Outgoing& message, std::unique_ptr<StreamWork>& work);
  // The engine's, which serializes them: a work that may start on `stream` now; it has ended; it
  // never will.
  bool next_work(u32 stream, Flying& next);
  void end_work(Flying& flown, const WorkResult& result);
  void abandon_work(Flying& flown, Status cause);
  // A pending request of this ring; the caller owns one side of it.
  Request* new_request(Grain& grain, u16 opcode);
  // Would post() find room now? Without waiting for the lock's other users to be done for long.
  bool might_post(const Grain& grain);
  bool has_room();
  // Allocate: takes a handle id of this ring and posts under one lock. `handle` is set.
  Post post_allocate(Grain& grain, Outgoing& message, u64& handle);

  // A transfer in parts is one message to everybody else: other posters of the grain wait.
  bool begin_parts(Grain& grain);
  void end_parts(Grain& grain);
  // The same for a batch, which gets a lane; kNoLane: try again later.
  static constexpr u32 kNoLane = kBatchLanes;
  u32 begin_batch(Grain& grain);
  void end_batch(Grain& grain, u32 lane);

  // `request` will never get its last `parts` parts: they count as answered with `cause`.
  void abandon_parts(Request& request, u32 parts, Status cause);

  // Takes back the held-back parts of `request`. False: one of them is in a slot already.
  bool withdraw(Grain& grain, const Request& request);

  // Holding back, one thread at a time, which may do it again. kLater: messages of an earlier hold
  // are still queued, or another thread holds. kNever: the caller's own hold keeps them queued.
  enum class Hold : u8 { kDone, kLater, kNever };
  Hold try_hold(Grain& grain, u64 thread);
  bool unhold(Grain& grain);  // true: nobody holds it any more
  // Work of the user's on this grain's memory, on the user's own stream: from its mark to its end
  // nothing of the grain goes on. By whoever holds the grain.
  void begin_join(Grain& grain);
  void end_join(Grain& grain);
  // Nothing is held back, nobody holds, no transfer is half posted: the grain may be deactivated.
  bool may_sleep(const Grain& grain);
  // The id of a handle without memory is free again.
  void forget_handle(u64 handle);
  bool is_idle(const Grain& grain);              // nothing of it is in slots
  bool is_at_rest(const Grain& grain, u64 end);  // nor held back; `end` positions are answered
  // Drops the grain's Write, Read and Compute. False: no free cancel entry yet, try again.
  bool cancel(Grain& grain);

  // `descriptor` is written to when `request` is answered; -1 takes it back, and from then on
  // nobody writes. kTaken: another descriptor waits already.
  enum class Watch : u8 { kSet, kAnswered, kTaken };
  Watch watch(Request& request, int descriptor);

  // Takes completions and moves held-back messages. Returns true when something moved.
  bool poll();
  // Looks at one line without the lock: is it worth a poll()?
  bool has_news(const Request& request) const;

  // Refuses new messages; the ones under way go on.
  void refuse(Status cause);
  // Answers everything that is left; a late answer of the worker is dropped. [R9]
  void close(Status cause);
  Status close_cause();

  u64 in_slots();  // posted, not yet taken
  u64 posted();    // positions given out
  u64 taken();     // positions answered
  bool is_closed();
  u64 pending() const { return pending_count.load(std::memory_order_acquire); }
  u64 placed() const { return placed_count_.load(std::memory_order_acquire); }  // in slots, no lock
  GrainCounts counts(Grain& grain);
  std::vector<u64> service_counts(const Grain& grain);  // LatencyCounts::packed
  void add_to(Snapshot& snapshot);

  RingView view;
  Spin spin;                          // of those who wait for its answers
  std::atomic<u64> pending_count{0};  // in slots and held back

 private:
  friend class Engine;
  struct Waiting {  // one a slot
    Request* request;
    u8* destination;
    u64 posted;
    u32 destination_bytes;
    u32 chunk;
    bool outside = false;  // a program that changes other grains too
  };

  WakeState committed();
  bool room() const { return next_ - taken_ + held_count_ + flying_.size() < view.slot_count; }
  bool is_held_back(const Grain& grain) const {
    return grain.hold != 0 || grain.flying != 0 || (grain.held && !grain.held->empty());
  }
  void note_placed() { placed_count_.store(next_ - taken_, std::memory_order_release); }
  void account(Request& request, Status status, u64 value, u64 queue, u64 service, u64 round_trip,
               u64 now);
  void place(Grain& grain, Outgoing& message);
  void enqueue(Grain& grain, const Outgoing& message);
  Request* take_request(Grain& grain, u16 opcode);
  // Only changed under the lock, so no read-modify-write is needed.
  void add_pending(i64 change) {
    pending_count.store(pending_count.load(std::memory_order_relaxed) + u64(change),
                        std::memory_order_release);
  }
  bool harvest();
  u64 host_ticks(u64 taken, u64 service, u64 posted, u64 arrived);
  void take_one(const CompletionEntry& answer, Waiting& waiting, u64 now);
  bool next_passing(u32 stream, Flying& next);
  void take_off(Held& held, Grain& grain, u32 stream, Flying& next);
  bool flush_held();
  bool may_go(const Held& front) const;
  // A cut of one of them, or an earlier work of the streams, is under way.
  static bool is_busy(const std::vector<Grain*>& uses, u64 ticket);
  void answer(Request* request);
  void answer_here(const Outgoing& message, Status status);
  void recycle_handle(u64 handle);

  Engine& engine_;
  std::mutex mutex_;
  std::vector<Waiting> waiting_;
  std::vector<Grain*> holding_;  // grains with held-back messages
  std::vector<u32> free_ids_;
  std::atomic<u64>& answered_;  // == taken_, for the pool
  Request* free_requests_ = nullptr;
  u64 next_id_ = 0, last_id_ = 0;  // request numbers of this ring, taken in runs
  u64 next_ = 0;                   // position of the next message
  u64 taken_ = 0;                  // completions taken
  u64 held_count_ = 0;
  std::vector<u64> flying_;                      // tickets of the works on a stream
  std::deque<std::pair<Grain*, Held>> passing_;  // not started yet
  u32 outside_runs_ = 0;  // such programs in slots: no work starts beside them
  u64 flown_ = 0;         // works that ever were
  std::atomic<u64> placed_count_{0};
  u64 tickets_ = 0;
  u64 cancels_ = 0;
  u32 lanes_ = 0;          // bit n: a batch posts on lane n
  bool refusing_ = false;  // no new messages
  bool closed_ = false;    // everything was answered; completions are not looked at
  Status close_cause_ = Status::kOk;
  Histogram queue_, service_, round_trip_;
  ClockFit clock_fit_;  // of a device
  u64 processed_ = 0, failed_ = 0;
};

}  // namespace gpures
