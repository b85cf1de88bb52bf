#include "host/fault_guard.hpp"

#include <setjmp.h>
#include <signal.h>

#include <cstdlib>
#include <mutex>

namespace gpures {

namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};  // SIGILL: a compiler's trap
constexpr size_t kStackBytes = 64 * 1024;

thread_local sigjmp_buf* guarded = nullptr;
struct sigaction previous[sizeof(kSignals) / sizeof(int)];

void on_fault(int signal, siginfo_t* info, void* context) {
  if (guarded != nullptr) siglongjmp(*guarded, signal);
  for (size_t n = 0; n < sizeof(kSignals) / sizeof(int); ++n) {
    if (kSignals[n] != signal) continue;
    if (previous[n].sa_flags & SA_SIGINFO) {
      previous[n].sa_sigaction(signal, info, context);
    } else if (previous[n].sa_handler != SIG_DFL && previous[n].sa_handler != SIG_IGN) {
      previous[n].sa_handler(signal);
    } else {  // the default action, when the faulting instruction runs again
      sigaction(signal, &previous[n], nullptr);
    }
    return;
  }
}

}  // namespace

void FaultGuard::install() {
  static std::mutex mutex;
  std::lock_guard guard(mutex);
  for (size_t n = 0; n < sizeof(kSignals) / sizeof(int); ++n) {
    struct sigaction now;
    sigaction(kSignals[n], nullptr, &now);
    if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_fault) continue;
    previous[n] = now;
    struct sigaction ours = {};
    ours.sa_sigaction = on_fault;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&ours.sa_mask);
    sigaction(kSignals[n], &ours, nullptr);
  }
}

void FaultGuard::prepare_thread() {
  struct HandlerStack {
    void* memory = std::malloc(kStackBytes);
    HandlerStack() {
      stack_t stack = {};
      stack.ss_sp = memory;
      stack.ss_size = kStackBytes;
      if (memory) sigaltstack(&stack, nullptr);
    }
    ~HandlerStack() {
      stack_t none = {};
      none.ss_flags = SS_DISABLE;
      sigaltstack(&none, nullptr);
      std::free(memory);
    }
  };
  thread_local HandlerStack stack;
  (void)stack;
}

int FaultGuard::run_erased(void (*call)(const void*), const void* context) {
  sigjmp_buf here;
  const int signal = sigsetjmp(here, 0);
  if (signal == 0) {
    guarded = &here;
    call(context);
  }
  guarded = nullptr;
  return signal;
}

}  // namespace gpures
