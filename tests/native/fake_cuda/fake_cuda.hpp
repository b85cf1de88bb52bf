// A TEST DOUBLE of libcuda.so.1: enough of the driver interface for CudaDriver and the engine above
// it, with CPU threads for blocks. Nothing it times is a GPU's, and no figure may come from it.
//
// A ring launch runs the shared serve loop, one group of threads a block. Device memory is mapped
// twice: the address that the host is given has no access rights, so host code that touches the
// workers' memory crashes; the workers use the second mapping.
#pragma once

#include <cstddef>

extern "C" {
struct FakeCounts {
  unsigned long long calls;          // of any driver function
  unsigned long long launches;       // of the ring kernel
  unsigned long long wide_launches;  // of other kernels
  unsigned long long wrong_context;  // calls without the right context current
  unsigned long long in_capture;     // calls that would end a thread's stream capture
};

void* fake_cuda_context();
int fake_cuda_capture_mode();  // of the calling thread
void* fake_cuda_stream();
// Returns once the stream has nothing to do.
void fake_cuda_synchronize(void* stream);
void* fake_cuda_ring_kernel();
// Another entry point of it, until the module that it came with is unloaded; the same for all of a
// module's. A launch of what was unloaded is refused here, and does anything on a device.
void* fake_cuda_load_ring_kernel();
void fake_cuda_unload(void* entry);
// An entry point for plain launches of a host function over so many arrays, words of shapes and of
// params. Never given back.
void* fake_cuda_wide_kernel(void* code, unsigned arrays, unsigned shape_words,
                            unsigned param_words);
// The same of a function that runs one block of one pass (shared/wide_plan.hpp), which it gets as a
// last argument, `const Pass*`.
void* fake_cuda_wide_kernel_in_passes(void* code, unsigned arrays, unsigned shape_words,
                                      unsigned param_words);
// Zeroed. Never given back: a test double needs no more.
void* fake_cuda_device_memory(std::size_t bytes);
// Threads a block runs with, from the next launch on.
void fake_cuda_block_threads(unsigned threads);
// Lanes of a poller apart from its block (GPURES_POLLER_WARP), likewise; 0: none.
void fake_cuda_poller(unsigned lanes);
// A busy device: launches queue up and do not begin while this is on.
void fake_cuda_hold_launches(int on);
// Blocks of the ring stop where they are, inside an index say, while this is on.
void fake_cuda_hang(int on);
// Another thread's call holds the driver: launches of the ring, queries of a stream, do not return
// while this is on. Bounded: whether one was kept until the bound is said afterwards.
void fake_cuda_keep_launches(int on);
void fake_cuda_keep_queries(int on);
int fake_cuda_launch_is_kept();  // waits until one is
int fake_cuda_kept_too_long();
// The device was reset by somebody: the context cannot be made current.
void fake_cuda_reset(int on);
// What was given to fake_cuda_fault().
int fake_cuda_error();
// Thread of the newest launch of the ring kernel, as the system numbers it.
int fake_cuda_launcher();
// The next plain launch is refused with `code`; nothing else is wrong.
void fake_cuda_refuse(int code);
// What an illegal address does: running kernels are gone, and every later call fails with `code`.
void fake_cuda_fault(int code);
FakeCounts fake_cuda_counts();
}
