// The limits of this machine, measured.
#include "tuning/probes.h"

#include <string>

#include "bindings/bindings.h"
#include "core/memory.h"
#include "kernels/registry.h"
#include "tuning/read_ahead_distance.h"

namespace belle {
namespace {

constexpr size_t kMaxBytes = size_t{1} << 48;  // more than any machine has: sizes made of it do not overflow
constexpr double kMaxSeconds = 3600.0;

std::vector<double> read_bandwidth(size_t n_bytes, size_t passes, size_t threads) {
  if (n_bytes == 0 || passes == 0) throw py::value_error("n_bytes and passes: expected at least 1");
  if (n_bytes > kMaxBytes) throw py::value_error("n_bytes: expected at most 2**48");
  const py::gil_scoped_release no_gil;
  ThreadPool pool(threads);
  return probe_reading(pool, n_bytes, passes);
}

py::dict integer_peak(const std::string& isa, size_t threads, double seconds) {
  if (!(seconds >= 0.0 && seconds <= kMaxSeconds)) throw py::value_error("seconds: expected 0 to 3600");
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

// As a model's loading does it, on one q4_0 matrix of zeros [n_rows, n_cols].
py::dict read_ahead(const std::string& isa, size_t threads, size_t n_rows, size_t n_cols, size_t piece_bytes) {
  if (n_rows == 0 || n_cols == 0 || n_cols % kBlockSize != 0) {
    throw py::value_error("n_rows: expected at least 1; n_cols: a multiple of 32");
  }
  if (n_rows > kMaxBytes / n_cols) throw py::value_error("n_rows * n_cols: expected at most 2**48");
  if (piece_bytes == 0) throw py::value_error("piece_bytes: expected at least 1");
  ReadAhead fastest;
  {
    const py::gil_scoped_release no_gil;
    ThreadPool pool(threads);
    Matrix matrix;
    matrix.type = WeightType::kQ4_0;
    matrix.n_rows = n_rows;
    matrix.n_cols = n_cols;
    const Buffer panels(matrix.image_bytes());
    matrix.panels = panels.data();
    fastest = measure_read_ahead(OpsContext{kernels_for(isa), pool}, {matrix}, piece_bytes);
  }
  return as_dict(fastest);
}

}  // namespace

py::dict as_dict(const ReadAhead& read_ahead) {
  py::dict result;
  result["one_token"] = read_ahead.one_token;
  result["several_tokens"] = read_ahead.several_tokens;
  result["measured"] = read_ahead.measured;
  return result;
}

void bind_probes(py::module_& module) {
  module.def("probe_read_bandwidth", read_bandwidth, py::kw_only(), py::arg("n_bytes"), py::arg("passes") = 8,
             py::arg("threads") = 0);
  module.def("probe_integer_peak", integer_peak, py::kw_only(), py::arg("isa") = "", py::arg("threads") = 0,
             py::arg("seconds") = 0.2);
  module.def("probe_read_ahead", read_ahead, py::kw_only(), py::arg("isa") = "", py::arg("threads") = 0,
             py::arg("n_rows"), py::arg("n_cols"), py::arg("piece_bytes") = kReadAheadPiece);
}

}  // namespace belle
