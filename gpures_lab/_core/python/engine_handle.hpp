// What Python holds of an engine, and the parts of the module that are bound elsewhere.
#pragma once

#include <nanobind/nanobind.h>

#include "python/objects.hpp"

namespace gpures::python {

namespace nb = nanobind;

struct EngineHandle {  // one reference
  Engine* engine;
  explicit EngineHandle(const EngineOptions& options) : engine(new Engine(options)) {}
  EngineHandle(const EngineHandle&) = delete;
  ~EngineHandle() { engine->release(); }
};

// Of a device: memory, images, errors, and stream captures of the calling thread (device.cpp).
void bind_device(nb::class_<EngineHandle>& engine, nb::module_& module);
void bind_library(nb::module_& module);  // library_rows.cpp

}  // namespace gpures::python
