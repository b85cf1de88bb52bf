#include "cuda/api.hpp"

#include <dlfcn.h>

#include <map>
#include <memory>
#include <mutex>

namespace gpures::cuda {

namespace {

// The driver interface these declarations were written for; cuGetProcAddress gives that version of
// each function, whatever a newer driver calls by the plain name.
constexpr int kInterfaceVersion = 12000;

using GetProcAddress = Result (*)(const char*, void**, int, u64, int*);

std::unique_ptr<Api> read(const char* library, std::string& why) {
  void* const handle = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    why = dlerror();
    return nullptr;
  }
  const auto get = reinterpret_cast<GetProcAddress>(dlsym(handle, "cuGetProcAddress_v2"));
  if (!get) {
    why = std::string(library) + " has no cuGetProcAddress_v2: its driver is older than CUDA 12.0";
    return nullptr;
  }
  auto api = std::make_unique<Api>();
  const auto find = [&](const char* name, auto& function) {
    void* address = nullptr;
    int found = 0;
    if (!why.empty()) return;
    if (get(name, &address, kInterfaceVersion, 0, &found) != kSuccess || !address) {
      why = std::string(library) + " has no " + name;
      return;
    }
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(address);
  };
  find("cuLaunchKernel", api->launch_kernel);
  find("cuStreamQuery", api->stream_query);
  find("cuEventCreate", api->event_create);
  find("cuEventDestroy", api->event_destroy);
  find("cuEventRecord", api->event_record);
  find("cuEventQuery", api->event_query);
  find("cuEventElapsedTime", api->event_elapsed);
  find("cuMemcpyAsync", api->memcpy_async);
  find("cuMemsetD8Async", api->memset8_async);
  find("cuMemsetD16Async", api->memset16_async);
  find("cuMemsetD32Async", api->memset32_async);
  find("cuCtxGetCurrent", api->context_get);
  find("cuCtxSetCurrent", api->context_set);
  find("cuThreadExchangeStreamCaptureMode", api->exchange_capture_mode);
  find("cuGetErrorName", api->error_name);
  return why.empty() ? std::move(api) : nullptr;
}

}  // namespace

const Api* Api::load(const char* library, std::string& why) {
  static std::mutex mutex;
  // Never destroyed: a keeper that was left inside the driver may come back at the very end.
  static auto& loaded = *new std::map<std::string, std::unique_ptr<Api>>;
  std::lock_guard lock(mutex);
  auto& api = loaded[library];
  if (!api) api = read(library, why);
  return api.get();
}

}  // namespace gpures::cuda
