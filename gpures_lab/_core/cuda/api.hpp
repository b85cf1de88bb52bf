// The CUDA driver's functions that this module calls, found at run time: nothing links to CUDA, and
// a machine without a driver gets a sentence. The declarations are ours; the ABI is the driver's.
#pragma once

#include <string>

#include "shared/base.hpp"

namespace gpures::cuda {

using Result = int;  // CUresult
inline constexpr Result kSuccess = 0;
inline constexpr Result kNotReady = 600;  // CUDA_ERROR_NOT_READY: the work is still running
using Context = void*;
using Stream = void*;
using Event = void*;
using Function = void*;
inline constexpr int kCaptureRelaxed = 2;  // CU_STREAM_CAPTURE_MODE_RELAXED

struct Api {
  Result (*launch_kernel)(Function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                          unsigned block_x, unsigned block_y, unsigned block_z,
                          unsigned shared_bytes, Stream, void** parameters, void** extra);
  Result (*stream_query)(Stream);
  Result (*event_create)(Event*, unsigned flags);
  Result (*event_destroy)(Event);
  Result (*event_record)(Event, Stream);
  Result (*event_query)(Event);
  Result (*event_elapsed)(float* ms, Event since, Event until);
  Result (*memcpy_async)(u64 to, u64 from, size_t bytes, Stream);
  Result (*memset8_async)(u64 to, unsigned char value, size_t count, Stream);
  Result (*memset16_async)(u64 to, unsigned short value, size_t count, Stream);
  Result (*memset32_async)(u64 to, unsigned value, size_t count, Stream);
  Result (*context_get)(Context*);
  Result (*context_set)(Context);
  Result (*exchange_capture_mode)(int* mode);
  Result (*error_name)(Result, const char** name);

  // Null: `why` says what is missing. The library stays loaded for the life of the process.
  static const Api* load(const char* library, std::string& why);
};

inline constexpr const char* kDriverLibrary = "libcuda.so.1";

}  // namespace gpures::cuda
