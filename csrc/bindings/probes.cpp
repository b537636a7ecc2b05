// The limits of this machine, measured.
#include "ops/probes.h"

#include <string>

#include "bindings/bindings.h"
#include "kernels/registry.h"

namespace belle {
namespace {

std::vector<double> read_bandwidth(size_t n_bytes, size_t passes, size_t threads) {
  if (n_bytes == 0 || passes == 0) throw py::value_error("n_bytes and passes: expected at least 1");
  const py::gil_scoped_release no_gil;
  ThreadPool pool(threads);
  return probe_reading(pool, n_bytes, passes);
}

py::dict integer_peak(const std::string& isa, size_t threads, double seconds) {
  std::vector<double> rates;
  const KernelTable& kernels = kernels_for(isa);
  size_t n_threads = 0;
  {
    const py::gil_scoped_release no_gil;
    ThreadPool pool(threads);
    n_threads = pool.size();
    rates = probe_multiplying(OpsContext{kernels, pool}, seconds);
  }
  py::dict result;
  result["isa"] = std::string(kernels.name);
  result["threads"] = n_threads;
  result["ops_per_second"] = rates;
  return result;
}

}  // namespace

void bind_probes(py::module_& module) {
  module.def("probe_read_bandwidth", read_bandwidth, py::kw_only(), py::arg("n_bytes"), py::arg("passes") = 8,
             py::arg("threads") = 0);
  module.def("probe_integer_peak", integer_peak, py::kw_only(), py::arg("isa") = "", py::arg("threads") = 0,
             py::arg("seconds") = 0.2);
}

}  // namespace belle
