// Runs code that may crash (C++ kernels) so that SIGSEGV, SIGBUS and SIGFPE end the call, not the
// process. Other threads' signals go on to whoever handled them before.
#pragma once

#include "shared/base.hpp"

namespace gpures {

class FaultGuard {
 public:
  // Installs the process's handlers, or puts them back in front if another library replaced them.
  static void install();
  // For each worker thread: a stack of its own for the handler, so that overflow is caught too.
  static void prepare_thread();

  // 0, or the signal that ended `call`.
  template <class Call>
  static int run(const Call& call) {
    return run_erased([](const void* context) { (*static_cast<const Call*>(context))(); }, &call);
  }

 private:
  static int run_erased(void (*call)(const void*), const void* context);
};

}  // namespace gpures
