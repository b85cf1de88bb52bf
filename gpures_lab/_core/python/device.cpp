// What the CUDA driver's Python half (drivers/cuda.py, grain/device.py) asks of the native one.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include "cuda/cuda_driver.hpp"
#include "host/kernel_registry.hpp"
#include "python/engine_handle.hpp"

namespace gpures::python {

namespace {

cuda::CudaDriver* cuda_of(const EngineHandle& self) {
  return static_cast<cuda::CudaDriver*>(self.engine->driver());
}

// What attach_cuda() wants, by name.
constexpr const char* kRegions[] = {"shared", "tables", "staging", "mirror", "worker", "kernels"};

nb::dict memory_bytes_of(EngineHandle& self) {
  const MemoryBytes bytes = self.engine->memory_bytes();
  const u64 sizes[] = {bytes.shared, bytes.tables, bytes.staging,
                       bytes.mirror, bytes.worker, bytes.kernels};
  nb::dict result;
  for (int n = 0; n < 6; ++n) result[kRegions[n]] = sizes[n];
  return result;
}

// "" or why not.
std::string attach_cuda(EngineHandle& self, const nb::dict& memory, u64 context, u64 ring_stream,
                        const std::vector<u64>& work_streams, u32 multiprocessors, u32 ring_threads,
                        const char* library) {
  std::string why;
  const cuda::Api* api = cuda::Api::load(library, why);
  if (!api) return why;
  if (work_streams.size() != kStreams) throw nb::value_error("one stream a kind of work");
  cuda::Device device{reinterpret_cast<void*>(context),
                      reinterpret_cast<void*>(ring_stream),
                      nullptr,
                      {},
                      multiprocessors,
                      ring_threads};
  for (u32 n = 0; n < kStreams; ++n) {
    device.work_streams[n] = reinterpret_cast<void*>(work_streams[n]);
  }
  u8* at[6];
  for (int n = 0; n < 6; ++n) at[n] = reinterpret_cast<u8*>(nb::cast<u64>(memory[kRegions[n]]));
  self.engine->attach({at[0], at[1], at[2], at[4], at[3], at[5]},
                      std::make_unique<cuda::CudaDriver>(*api, device));
  return why;
}

// In a quiesced window. The first id that the device cannot take, or -1; the image is taken either
// way, for the one before it is about to go.
i64 use_kernel(EngineHandle& self, u64 function, const std::vector<u32>& kernel_ids) {
  nb::gil_scoped_release release;  // it enters the driver
  cuda::CudaDriver& driver = *cuda_of(self);
  driver.use_kernel(reinterpret_cast<void*>(function));
  for (const u32 id : kernel_ids) {
    if (!driver.publish_kernel(id, KernelRegistry::get().at(id))) return id;
  }
  return -1;
}

// In a quiesced window, for every kernel of the image: (id, entry point, any blocks, in the ring,
// address of its WidePlanner).
void use_wide(EngineHandle& self,
              const std::vector<std::tuple<u32, u64, bool, bool, u64>>& kernels) {
  for (const auto& [id, entry, any_blocks, in_ring, plan] : kernels) {
    cuda_of(self)->use_wide(id, reinterpret_cast<void*>(entry), any_blocks);
    self.engine->note_path(id,
                           !in_ring     ? Engine::kWideOnly
                           : any_blocks ? Engine::kAnyBlocks
                           : plan != 0  ? Engine::kInPasses
                                        : Engine::kOneBlock,
                           reinterpret_cast<WidePlanner>(plan));
  }
}

const cuda::Api* loaded(std::optional<std::string> library) {
  std::string why;
  return cuda::Api::load(library ? library->c_str() : cuda::kDriverLibrary, why);
}

// This thread's calls are allowed while a stream captures; -1 where there is no driver, which is
// said by whoever needs one.
int relax_capture(std::optional<std::string> library) {
  const cuda::Api* api = loaded(library);
  int mode = cuda::kCaptureRelaxed;
  return api && api->exchange_capture_mode(&mode) == cuda::kSuccess ? mode : -1;
}

void restore_capture(int mode, std::optional<std::string> library) {
  if (mode >= 0) loaded(library)->exchange_capture_mode(&mode);
}

}  // namespace

void bind_device(nb::class_<EngineHandle>& engine, nb::module_& module) {
  engine.def("memory_bytes", &memory_bytes_of)
      .def("attach_cuda", &attach_cuda, nb::kw_only(), nb::arg("memory"), nb::arg("context"),
           nb::arg("ring_stream"), nb::arg("work_streams"), nb::arg("multiprocessors"),
           nb::arg("ring_threads"), nb::arg("library") = cuda::kDriverLibrary)
      .def("use_kernel", &use_kernel, nb::arg("function"), nb::arg("kernel_ids"))
      .def("free_events",
           [](EngineHandle& self) {
             nb::gil_scoped_release release;
             cuda_of(self)->free_events();
           })
      .def("use_wide", &use_wide, nb::arg("kernels"))
      .def("add_memory",
           [](EngineHandle& self, u32 arena, u64 address, u64 bytes) {
             self.engine->pool->add_memory(arena, reinterpret_cast<u8*>(address), bytes);
           })
      .def_prop_ro("device_error", [](EngineHandle& self) {
        return self.engine->on_device() && cuda_of(self) ? cuda_of(self)->error() : std::string();
      });
  module.def("relax_capture", &relax_capture, nb::arg("library").none(),
             "Exchange this thread's stream capture mode for the relaxed one; the mode before.");
  module.def("restore_capture", &restore_capture, nb::arg("mode"), nb::arg("library").none());
}

}  // namespace gpures::python
