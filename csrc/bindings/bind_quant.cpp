// Quantization for the converter, and one linear layer for tests.
#include <limits>
#include <optional>
#include <string>

#include "bindings/bindings.h"
#include "core/memory.h"
#include "kernels/registry.h"
#include "loading/section_reader.h"
#include "ops/linear.h"
#include "ops/quantize_rows.h"
#include "ops/weight_types.h"
#include "quant/type_names.h"

namespace belle {
namespace {

using ByteArray = py::array_t<uint8_t, py::array::c_style>;
using FloatArray = py::array_t<float, py::array::c_style | py::array::forcecast>;

constexpr size_t kParallelWeights = 65536;
constexpr uint64_t kChunkBytes = 65536;  // in which run_linear packs

bool is_known(const TypeTraits&) noexcept { return true; }
bool is_written(const TypeTraits& traits) noexcept { return traits.written; }

size_t columns_of(const TypeTraits& traits, size_t n_bytes) {
  if (n_bytes % traits.block_bytes != 0) {
    throw py::value_error("rows of " + std::to_string(n_bytes) + " bytes are not whole blocks of " + traits.name);
  }
  return n_bytes / traits.block_bytes * traits.block_size;
}

// Starting threads costs more than a small matrix.
size_t threads_for(size_t n_weights, size_t threads) { return n_weights < kParallelWeights ? 1 : threads; }

// One number from 0 on for each column.
void check_importance(const FloatArray& importance, const TypeTraits& traits, size_t n_cols) {
  if (!traits.quantized) {
    throw py::value_error(std::string("importance: ") + traits.name + " has no scales, and no use of it");
  }
  if (importance.ndim() != 1 || static_cast<size_t>(importance.shape(0)) != n_cols) {
    throw py::value_error("importance: expected " + std::to_string(n_cols) + " numbers, one for each column");
  }
  for (size_t i = 0; i < n_cols; ++i) {
    if (!(importance.data()[i] >= 0.0f && importance.data()[i] <= std::numeric_limits<float>::max())) {
      throw py::value_error("importance: column " + std::to_string(i) + " has " + std::to_string(importance.data()[i]) +
                            ", expected a finite number from 0 on");
    }
  }
}

ByteArray quantize(const py::array& input, const std::string& type_name, const std::optional<FloatArray>& importance,
                   size_t threads, const std::string& isa) {
  const KernelTable& kernels = kernels_for(isa);
  const TypeTraits& traits = require_type(type_name, is_written);
  const WeightType source_type = source_type_of(input);
  if (input.ndim() != 2) throw py::value_error("rows: expected two dimensions, got " + std::to_string(input.ndim()));
  const py::array rows = py::array::ensure(input, py::array::c_style);
  const size_t n_rows = static_cast<size_t>(rows.shape(0)), n_cols = static_cast<size_t>(rows.shape(1));
  if (n_cols % traits.block_size != 0) {
    throw py::value_error("rows of " + std::to_string(n_cols) + " columns cannot be " + type_name +
                          ": expected a multiple of " + std::to_string(traits.block_size));
  }
  if (importance) check_importance(*importance, traits, n_cols);
  const float* weights = importance ? importance->data() : nullptr;
  ByteArray out({n_rows, row_bytes(traits, n_cols)});
  const SourceRows source{source_type, static_cast<const uint8_t*>(rows.data()), n_rows, n_cols};
  uint8_t* out_data = out.mutable_data();
  size_t bad_row = n_rows;
  {
    const py::gil_scoped_release no_gil;
    ThreadPool pool(threads_for(n_rows * n_cols, threads));
    bad_row = quantize_rows(kernels, pool, source, traits.type, weights, out_data);
  }
  if (bad_row < n_rows) {
    throw py::value_error("row " + std::to_string(bad_row) + " holds a NaN or an infinity: the checkpoint is damaged");
  }
  return out;
}

py::array_t<float> dequantize(const ByteArray& data, const std::string& type_name, size_t threads) {
  const TypeTraits& traits = require_type(type_name, is_known);
  if (data.ndim() != 2) throw py::value_error("data: expected two dimensions, got " + std::to_string(data.ndim()));
  const size_t n_rows = static_cast<size_t>(data.shape(0));
  const size_t n_cols = columns_of(traits, static_cast<size_t>(data.shape(1)));
  py::array_t<float> out({n_rows, n_cols});
  const uint8_t* in_data = data.data();
  float* out_data = out.mutable_data();
  const py::gil_scoped_release no_gil;
  ThreadPool pool(threads_for(n_rows * n_cols, threads));
  dequantize_rows(pool, traits.type, in_data, n_rows, n_cols, out_data);
  return out;
}

// The way from a file, which these bytes stand for.
void pack(ThreadPool& pool, const Matrix& matrix, const ByteArray& rows, uint8_t* panels) {
  const uint64_t n_bytes = static_cast<uint64_t>(rows.nbytes());
  const MappedFile file(matrix.name, {rows.data(), static_cast<size_t>(n_bytes)});
  const MatrixInFile placed{&matrix, 0, panels};
  read_chunks(pool, {file, 0, n_bytes, kChunkBytes, nullptr}, 0, n_bytes / kChunkBytes + 1, {&placed, 1});
}

py::array_t<float> run_linear(const ByteArray& weights, const std::string& type_name, const FloatArray& x,
                              const std::string& isa, size_t threads, const std::string& activations) {
  const TypeTraits& traits = require_type(type_name, has_products);
  if (weights.ndim() != 2 || x.ndim() != 2) throw py::value_error("weights and x: expected two dimensions each");
  Matrix matrix;
  matrix.name = "weights";
  matrix.type = traits.type;
  matrix.n_rows = static_cast<size_t>(weights.shape(0));
  matrix.n_cols = columns_of(traits, static_cast<size_t>(weights.shape(1)));
  const size_t n_tokens = static_cast<size_t>(x.shape(0)), k = static_cast<size_t>(x.shape(1));
  py::array_t<float> y({n_tokens, matrix.n_rows});
  ThreadPool pool(threads);
  const KernelTable& kernels = kernels_for(isa);
  const OpsContext context{kernels, pool, {form_named(activations, kernels)}};
  Buffer panels(matrix.image_bytes());
  pack(pool, matrix, weights, panels.data());
  matrix.panels = panels.data();
  QuantizedStorage storage;
  LinearInput input(context, storage, x.data(), n_tokens, k);
  const LinearOutput output{matrix, nullptr, y.mutable_data()};
  if (n_tokens > 0 && matrix.n_rows > 0) linear(context, input, {&output, 1});
  return y;
}

py::dict weight_types() {
  py::dict types;
  for (size_t i = 0; i < kWeightTypeCount; ++i) {
    const TypeTraits& traits = traits_of(static_cast<WeightType>(i));
    py::dict entry;
    entry["ggml_id"] = traits.ggml_id;
    entry["block_size"] = traits.block_size;
    entry["block_bytes"] = traits.block_bytes;
    py::tuple scale_offsets(traits.n_scales);
    for (size_t s = 0; s < traits.n_scales; ++s) scale_offsets[s] = traits.scale_offsets[s];
    entry["scale_offsets"] = scale_offsets;
    entry["quantized"] = traits.quantized;
    entry["written"] = traits.written;
    types[traits.name] = entry;
  }
  return types;
}

}  // namespace

const TypeTraits& require_type(const std::string& name, bool (*allowed)(const TypeTraits&)) {
  const TypeTraits* traits = traits_from_name(name.c_str());
  if (traits != nullptr && allowed(*traits)) return *traits;
  throw py::value_error("tensor type '" + name + "' is " +
                        (traits == nullptr ? "unknown" : "not among those for this") + ": expected " +
                        type_names("or", allowed));
}

WeightType source_type_of(const py::array& rows) {
  const auto dtype = rows.dtype();
  if (dtype.kind() == 'f' && dtype.itemsize() == 4) return WeightType::kF32;
  if (dtype.kind() == 'f' && dtype.itemsize() == 2) return WeightType::kF16;
  if (dtype.kind() == 'u' && dtype.itemsize() == 2) return WeightType::kBf16;
  throw py::value_error("rows: expected float32, float16, or bfloat16 bits as uint16");
}

void bind_quant(py::module_& module) {
  module.def("weight_types", weight_types);
  module.def("quantize", quantize, py::arg("rows"), py::arg("type"), py::kw_only(), py::arg("importance") = py::none(),
             py::arg("threads") = 0, py::arg("isa") = "");
  module.def("dequantize", dequantize, py::arg("data"), py::arg("type"), py::kw_only(), py::arg("threads") = 0);
  module.def("linear", run_linear, py::arg("weights"), py::arg("type"), py::arg("x"), py::kw_only(),
             py::arg("isa") = "", py::arg("threads") = 0, py::arg("activations") = "block32");
}

}  // namespace belle
