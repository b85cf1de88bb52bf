#include "host/host_stream.hpp"

#include <signal.h>

#include <chrono>
#include <cstring>

#include "host/clock.hpp"
#include "host/fault_guard.hpp"
#include "host/kernel_registry.hpp"
#include "shared/ops/compute.hpp"

namespace gpures {

namespace {

void launch(const StreamWork& work, WorkResult& result) {
  const KernelEntry& kernel = KernelRegistry::get().at(work.kernel);
  const WideLayout at(kernel.arrays, Compute::shape_count(kernel), kernel.param_words);
  std::vector<u64> words = work.words;
  const auto run = [&] {
    reinterpret_cast<gpures_kernel>(kernel.code)(
        reinterpret_cast<void* const*>(words.data()), reinterpret_cast<i64*>(&words[at.sizes]),
        reinterpret_cast<i64*>(&words[at.shapes]), &words[at.params],
        reinterpret_cast<i64*>(&words[at.space]), i64(words[at.begin]), i64(words[at.begin + 1]),
        result.fault);
  };
  const int signal = kernel.flags & kKernelMayFault ? FaultGuard::run(run) : (run(), 0);
  if (signal != 0) {
    result.status = Status::kKernelFault;
    result.value = u64(signal);
  } else if (result.fault[0] != 0) {
    result.status = Status::kOutOfBounds;
  }
}

void perform(const StreamWork& work, WorkResult& result) {
  auto* const to = reinterpret_cast<u8*>(work.to);
  switch (work.kind) {
    case WorkKind::kLaunch:
      return launch(work, result);
    case WorkKind::kCopyIn:
    case WorkKind::kCopyOut:
      std::memcpy(to, reinterpret_cast<u8*>(work.from), work.bytes);
      return;
    case WorkKind::kFill:
      for (u64 at = 0; at < work.bytes; at += work.element) {
        std::memcpy(to + at, work.value, work.element);
      }
      return;
  }
}

}  // namespace

HostStream::HostStream() : shared_(std::make_shared<Shared>()) {
  sigset_t all, before;  // signals belong to the interpreter's main thread
  sigfillset(&all);
  for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigdelset(&all, fault);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread(run, shared_);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

void HostStream::run(std::shared_ptr<Shared> shared) {
  FaultGuard::prepare_thread();
  std::unique_lock lock(shared->mutex);
  for (;;) {
    shared->changed.wait(lock, [&] { return shared->closing || !shared->waiting.empty(); });
    if (shared->closing) break;
    const auto [slot, work] = shared->waiting.front();
    shared->waiting.pop_front();
    ++shared->begun;
    shared->running = slot;
    lock.unlock();
    WorkResult result;
    result.begun = ticks();
    perform(*work, result);
    result.service_ns = TickScale::get().to_ns(ticks() - result.begun);
    lock.lock();
    shared->results[slot] = result;
    shared->done[slot] = true;
  }
  shared->ended = true;
  shared->changed.notify_all();
}

void HostStream::start(u32 slot, const StreamWork& work) {
  if (work.may_fault) FaultGuard::install();
  std::lock_guard lock(shared_->mutex);
  shared_->done[slot] = false;
  shared_->waiting.emplace_back(slot, &work);
  shared_->changed.notify_all();
}

bool HostStream::is_done(u32 slot, WorkResult& result) {
  std::lock_guard lock(shared_->mutex);
  if (!shared_->done[slot]) return false;
  result = shared_->results[slot];
  return true;
}

u64 HostStream::progress(u32 slot) {
  std::lock_guard lock(shared_->mutex);
  return shared_->running == slot ? shared_->begun : 0;
}

bool HostStream::shutdown(u64 limit_ns) {
  if (!thread_.joinable()) return true;
  bool ended;
  {
    std::unique_lock lock(shared_->mutex);
    shared_->closing = true;
    shared_->waiting.clear();
    shared_->changed.notify_all();
    ended = shared_->changed.wait_for(lock, std::chrono::nanoseconds(limit_ns),
                                      [&] { return shared_->ended; });
  }
  if (ended) {
    thread_.join();
  } else {
    thread_.detach();
  }
  return ended;
}

}  // namespace gpures
