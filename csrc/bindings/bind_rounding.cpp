// Rounding with the second moments of a matrix' inputs, for the converter.
#include <cmath>
#include <memory>
#include <string>

#include "bindings/bindings.h"
#include "kernels/registry.h"
#include "rounding/rounding.h"

namespace belle {
namespace {

using ByteArray = py::array_t<uint8_t, py::array::c_style>;
using FloatArray = py::array_t<float, py::array::c_style | py::array::forcecast>;

bool has_codes(const TypeTraits& traits) noexcept { return traits.written && traits.quantized; }

// Those of the tier that `isa` names.
const RoundingKernels& rounding_kernels_for(const std::string& isa) {
  const std::string tier = kernels_for(isa).name;
#if defined(BELLE_HAS_X86_ROUNDING)
  if (tier == "avx2" || tier == "avxvnni") return *rounding_avx2();
  if (tier != "scalar") return *rounding_avx512();
#endif
  return *rounding_plain();
}

std::unique_ptr<Rounding> make_rounding(const FloatArray& moments, double damping, size_t threads,
                                        const std::string& isa) {
  const RoundingKernels& kernels = rounding_kernels_for(isa);
  if (moments.ndim() != 2 || moments.shape(0) != moments.shape(1) || moments.shape(0) == 0) {
    throw py::value_error("moments: expected [n_cols, n_cols]");
  }
  if (!(damping >= 0.0 && damping <= 1.0)) {
    throw py::value_error("damping: expected a number from 0 to 1, got " + std::to_string(damping));
  }
  const float* data = moments.data();
  const size_t n = static_cast<size_t>(moments.shape(0));
  const py::gil_scoped_release no_gil;
  ThreadPool pool(threads);
  return std::make_unique<Rounding>(kernels, pool, data, n, damping);
}

// The rows in one piece, and their shape as the moments have it.
py::array whole_rows(const Rounding& rounding, const py::array& input) {
  if (input.ndim() != 2) throw py::value_error("rows: expected two dimensions, got " + std::to_string(input.ndim()));
  const size_t n_cols = static_cast<size_t>(input.shape(1));
  if (n_cols != rounding.n_columns()) {
    throw py::value_error("rows: expected " + std::to_string(rounding.n_columns()) +
                          " columns, as the moments have, got " + std::to_string(n_cols));
  }
  return py::array::ensure(input, py::array::c_style);
}

const TypeTraits& type_for(const Rounding& rounding, const std::string& name) {
  const TypeTraits& traits = require_type(name, has_codes);
  if (rounding.n_columns() % traits.block_size != 0) {
    throw py::value_error("rows of " + std::to_string(rounding.n_columns()) + " columns cannot be " + name +
                          ": expected a multiple of " + std::to_string(traits.block_size));
  }
  return traits;
}

RoundingEffort effort_named(const std::string& name) {
  if (name == "fast") return RoundingEffort::kFast;
  if (name == "best") return RoundingEffort::kBest;
  throw py::value_error("effort '" + name + "' is unknown: expected fast or best");
}

void refuse_row(size_t row) {
  throw py::value_error("row " + std::to_string(row) + " holds a NaN or an infinity: the checkpoint is damaged");
}

double damping_of(const Rounding& rounding) {
  const py::gil_scoped_release no_gil;
  ThreadPool pool(0);
  return rounding.factor(pool).damping();
}

RowsOfFloats rows_of(const py::array& rows) {
  return {source_type_of(rows), static_cast<const uint8_t*>(rows.data()), static_cast<size_t>(rows.shape(0))};
}

ByteArray round_rows(const Rounding& rounding, const py::array& input, const std::string& type_name,
                     const std::string& effort_name, size_t threads) {
  const TypeTraits& traits = type_for(rounding, type_name);
  const RoundingEffort effort = effort_named(effort_name);
  const py::array whole = whole_rows(rounding, input);
  const RowsOfFloats rows = rows_of(whole);
  ByteArray out({rows.n_rows, row_bytes(traits, rounding.n_columns())});
  uint8_t* out_data = out.mutable_data();
  size_t bad_row = rows.n_rows;
  {
    const py::gil_scoped_release no_gil;
    ThreadPool pool(threads);
    bad_row = rounding.round(pool, rows, traits.type, effort, out_data);
  }
  if (bad_row < rows.n_rows) refuse_row(bad_row);
  return out;
}

py::array_t<double> row_errors(const Rounding& rounding, const py::array& input, const ByteArray& data,
                               const std::string& type_name, size_t threads) {
  const TypeTraits& traits = type_for(rounding, type_name);
  const py::array whole = whole_rows(rounding, input);
  const RowsOfFloats rows = rows_of(whole);
  const size_t bytes = row_bytes(traits, rounding.n_columns());
  if (data.ndim() != 2 || static_cast<size_t>(data.shape(0)) != rows.n_rows ||
      static_cast<size_t>(data.shape(1)) != bytes) {
    throw py::value_error("data: expected " + std::to_string(rows.n_rows) + " rows of " + std::to_string(bytes) +
                          " bytes");
  }
  py::array_t<double> out(static_cast<py::ssize_t>(rows.n_rows));
  const uint8_t* blocks = data.data();
  double* out_data = out.mutable_data();
  size_t bad_row = rows.n_rows;
  {
    const py::gil_scoped_release no_gil;
    ThreadPool pool(threads);
    bad_row = rounding.errors(pool, rows, blocks, traits.type, out_data);
  }
  if (bad_row < rows.n_rows) refuse_row(bad_row);
  return out;
}

}  // namespace

void bind_rounding(py::module_& module) {
  py::class_<Rounding>(module, "Rounding")
      .def(py::init(&make_rounding), py::arg("moments"), py::kw_only(), py::arg("damping") = 0.01,
           py::arg("threads") = 0, py::arg("isa") = "")
      .def_property_readonly("damping", damping_of)
      .def("round", round_rows, py::arg("rows"), py::arg("type"), py::kw_only(), py::arg("effort") = "fast",
           py::arg("threads") = 0)
      .def("errors", row_errors, py::arg("rows"), py::arg("data"), py::arg("type"), py::kw_only(),
           py::arg("threads") = 0);
}

}  // namespace belle
