// Stackful switching in one thread. Own assembly, not ucontext: a switch costs 2 ns instead of two
// system calls, and a fiber is exactly its stack bytes above `sp`, which the search copies and
// hashes.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace explore {

#if defined(__SANITIZE_ADDRESS__)
// Copied stacks would disagree with their shadow: under AddressSanitizer the search replays.
inline constexpr bool kCanCopyStacks = false;
inline constexpr std::size_t kStackBytes = 65536;
#else
inline constexpr bool kCanCopyStacks = true;
inline constexpr std::size_t kStackBytes = 16384;
#endif

#if defined(__APPLE__)
#define EXPLORE_SYMBOL "_explore_switch"
#else
#define EXPLORE_SYMBOL "explore_switch"
#endif

extern "C" void explore_switch(void** save, void* next);

#if defined(__x86_64__)
inline constexpr std::size_t kSavedWords = 6;
#define EXPLORE_SWITCH                                                         \
  asm(".text\n.globl " EXPLORE_SYMBOL "\n" EXPLORE_SYMBOL                      \
      ":\n"                                                                    \
      "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n" \
      "  pushq %r15\n  movq %rsp, (%rdi)\n  movq %rsi, %rsp\n  popq %r15\n"    \
      "  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n  ret\n")
#elif defined(__aarch64__)
inline constexpr std::size_t kSavedWords = 20;
#define EXPLORE_SWITCH                                                                    \
  asm(".text\n.globl " EXPLORE_SYMBOL "\n" EXPLORE_SYMBOL                                 \
      ":\n"                                                                               \
      "  sub sp, sp, #160\n  stp x19, x20, [sp]\n  stp x21, x22, [sp, #16]\n"             \
      "  stp x23, x24, [sp, #32]\n  stp x25, x26, [sp, #48]\n  stp x27, x28, [sp, #64]\n" \
      "  stp x29, x30, [sp, #80]\n  stp d8, d9, [sp, #96]\n  stp d10, d11, [sp, #112]\n"  \
      "  stp d12, d13, [sp, #128]\n  stp d14, d15, [sp, #144]\n  mov x9, sp\n"            \
      "  str x9, [x0]\n  mov sp, x1\n  ldp x19, x20, [sp]\n  ldp x21, x22, [sp, #16]\n"   \
      "  ldp x23, x24, [sp, #32]\n  ldp x25, x26, [sp, #48]\n  ldp x27, x28, [sp, #64]\n" \
      "  ldp x29, x30, [sp, #80]\n  ldp d8, d9, [sp, #96]\n  ldp d10, d11, [sp, #112]\n"  \
      "  ldp d12, d13, [sp, #128]\n  ldp d14, d15, [sp, #144]\n  add sp, sp, #160\n  ret\n")
#else
#error "the explorer switches stacks on x86-64 and aarch64 only"
#endif

// A stack that enters `entry` when it is first switched to; `entry` never returns.
inline void* prepare_stack(unsigned char* stack, void (*entry)()) {
  auto* top = reinterpret_cast<std::uintptr_t*>(stack + kStackBytes - 64);
#if defined(__x86_64__)
  std::uintptr_t* sp = top - kSavedWords - 2;  // on entry sp % 16 is 8, as after a call
  std::memset(sp, 0, (kSavedWords + 2) * sizeof(*sp));
  sp[kSavedWords] = reinterpret_cast<std::uintptr_t>(entry);
#else
  std::uintptr_t* sp = top - kSavedWords;
  std::memset(sp, 0, kSavedWords * sizeof(*sp));
  sp[11] = reinterpret_cast<std::uintptr_t>(entry);  // x30
#endif
  return sp;
}

}  // namespace explore
