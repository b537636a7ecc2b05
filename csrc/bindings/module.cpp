// The extension module belle_edge._core.
#include "bindings/bindings.h"

#ifndef BELLE_VERSION
#define BELLE_VERSION "0+unknown"
#endif

PYBIND11_MODULE(_core, module) {
  module.doc() = "C++ core of BELLE Edge: GGUF reading, quantization, kernels and the inference engine";
  module.attr("__version__") = BELLE_VERSION;
  belle::bind_constants(module);
  belle::bind_errors(module);
  belle::bind_cpu(module);
  belle::bind_checksums(module);
  belle::bind_quant(module);
  belle::bind_dense(module);
  belle::bind_rounding(module);
  belle::bind_gguf(module);
  belle::bind_sampler(module);
  belle::bind_probes(module);
  belle::bind_engine(module);
}
