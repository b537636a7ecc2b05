// Quantization for the converter, and one linear layer for tests.
#include <atomic>
#include <cmath>
#include <string>
#include <vector>

#include "bindings/bindings.h"
#include "core/half.h"
#include "core/memory.h"
#include "kernels/registry.h"
#include "ops/linear.h"
#include "quant/quantize.h"

namespace belle {
namespace {

using ByteArray = py::array_t<uint8_t, py::array::c_style>;

const TypeTraits& require_type(const std::string& name) {
  const TypeTraits* traits = traits_from_name(name);
  if (traits == nullptr) {
    throw py::value_error("tensor type '" + name + "' is unknown: expected f32, f16, bf16, q4_0, q4_1 or q8_0");
  }
  return *traits;
}

size_t columns_of(const TypeTraits& traits, size_t n_bytes) {
  if (n_bytes % traits.block_bytes != 0) {
    throw py::value_error("rows of " + std::to_string(n_bytes) + " bytes are not whole blocks of " + traits.name);
  }
  return n_bytes / traits.block_bytes * traits.block_size;
}

// Source elements as float: float32 as it is, float16 and bfloat16 (raw uint16 bits) converted.
enum class Source { kF32, kF16, kBf16 };

Source source_of(const py::array& rows) {
  const auto dtype = rows.dtype();
  if (dtype.kind() == 'f' && dtype.itemsize() == 4) return Source::kF32;
  if (dtype.kind() == 'f' && dtype.itemsize() == 2) return Source::kF16;
  if (dtype.kind() == 'u' && dtype.itemsize() == 2) return Source::kBf16;
  throw py::value_error("rows: expected float32, float16, or bfloat16 bits as uint16");
}

void load_row(Source source, const uint8_t* data, size_t n, float* out) noexcept {
  const WeightType type = source == Source::kF32   ? WeightType::kF32
                          : source == Source::kF16 ? WeightType::kF16
                                                   : WeightType::kBf16;
  dequantize_row(type, data, n, out);
}

bool all_finite(const float* x, size_t n) noexcept {
  uint32_t special = 0;  // exponent bits all set in any element
  for (size_t i = 0; i < n; ++i) special |= static_cast<uint32_t>((float_to_bits(x[i]) & 0x7f800000u) == 0x7f800000u);
  return special == 0;
}

ByteArray quantize(const py::array& input, const std::string& type_name, size_t threads) {
  const TypeTraits& traits = require_type(type_name);
  const Source source = source_of(input);
  if (input.ndim() != 2) throw py::value_error("rows: expected two dimensions, got " + std::to_string(input.ndim()));
  const py::array rows = py::array::ensure(input, py::array::c_style);
  const size_t n_rows = static_cast<size_t>(rows.shape(0)), n_cols = static_cast<size_t>(rows.shape(1));
  if (n_cols % traits.block_size != 0) {
    throw py::value_error("rows of " + std::to_string(n_cols) + " columns cannot be " + type_name +
                          ": expected a multiple of " + std::to_string(traits.block_size));
  }
  const size_t out_bytes = row_bytes(traits, n_cols);
  const size_t in_bytes = n_cols * static_cast<size_t>(rows.itemsize());
  ByteArray out({n_rows, out_bytes});
  const uint8_t* in_data = static_cast<const uint8_t*>(rows.data());
  uint8_t* out_data = out.mutable_data();
  std::atomic<size_t> bad_row{n_rows};
  {
    const py::gil_scoped_release no_gil;
    ThreadPool pool(n_rows * n_cols < 65536 ? 1 : threads);
    std::vector<std::vector<float>> buffers;  // a row each; allocated here because a thread's body must not throw
    const size_t n_shares = pool.size();
    for (size_t i = 0; i < n_shares; ++i) buffers.emplace_back(n_cols);
    pool.parallel_for(n_shares, [&](size_t begin, size_t end) {
      for (size_t share = begin; share < end; ++share) {
        float* buffer = buffers[share].data();
        for (size_t r = n_rows * share / n_shares; r < n_rows * (share + 1) / n_shares; ++r) {
          load_row(source, in_data + r * in_bytes, n_cols, buffer);
          if (!all_finite(buffer, n_cols)) {
            bad_row.store(r);
            return;
          }
          quantize_row(traits.type, buffer, n_cols, out_data + r * out_bytes);
        }
      }
    });
  }
  if (bad_row.load() < n_rows) {
    throw py::value_error("row " + std::to_string(bad_row.load()) + " holds a NaN or an infinity: the checkpoint is damaged");
  }
  return out;
}

py::array_t<float> dequantize(const ByteArray& data, const std::string& type_name, size_t threads) {
  const TypeTraits& traits = require_type(type_name);
  if (data.ndim() != 2) throw py::value_error("data: expected two dimensions, got " + std::to_string(data.ndim()));
  const size_t n_rows = static_cast<size_t>(data.shape(0)), bytes = static_cast<size_t>(data.shape(1));
  const size_t n_cols = columns_of(traits, bytes);
  py::array_t<float> out({n_rows, n_cols});
  const uint8_t* in_data = data.data();
  float* out_data = out.mutable_data();
  const py::gil_scoped_release no_gil;
  ThreadPool pool(n_rows * n_cols < 65536 ? 1 : threads);
  pool.parallel_for(n_rows, [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) dequantize_row(traits.type, in_data + r * bytes, n_cols, out_data + r * n_cols);
  });
  return out;
}

py::array_t<float> run_linear(const ByteArray& weights, const std::string& type_name,
                              const py::array_t<float, py::array::c_style | py::array::forcecast>& x,
                              const std::string& isa, size_t threads) {
  const TypeTraits& traits = require_type(type_name);
  if (weights.ndim() != 2 || x.ndim() != 2) throw py::value_error("weights and x: expected two dimensions each");
  Matrix matrix;
  matrix.name = "weights";
  matrix.type = traits.type;
  matrix.n_rows = static_cast<size_t>(weights.shape(0));
  matrix.n_cols = columns_of(traits, static_cast<size_t>(weights.shape(1)));
  const size_t n_tokens = static_cast<size_t>(x.shape(0)), k = static_cast<size_t>(x.shape(1));
  py::array_t<float> y({n_tokens, matrix.n_rows});
  ThreadPool pool(threads);
  const OpsContext context{kernels_for(isa), pool};
  Buffer panels(matrix.image_bytes());
  pack_matrix(pool, matrix, weights.data(), panels.data());
  matrix.panels = panels.data();
  QuantizedStorage storage;
  LinearInput input(context, storage, x.data(), n_tokens, k);
  if (n_tokens > 0 && matrix.n_rows > 0) linear(context, input, matrix, nullptr, y.mutable_data());
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
    entry["quantized"] = traits.quantized;
    types[traits.name] = entry;
  }
  return types;
}

}  // namespace

void bind_quant(py::module_& module) {
  module.def("weight_types", weight_types);
  module.def("quantize", quantize, py::arg("rows"), py::arg("type"), py::kw_only(), py::arg("threads") = 0);
  module.def("dequantize", dequantize, py::arg("data"), py::arg("type"), py::kw_only(), py::arg("threads") = 0);
  module.def("linear", run_linear, py::arg("weights"), py::arg("type"), py::arg("x"), py::kw_only(),
             py::arg("isa") = "", py::arg("threads") = 0);
}

}  // namespace belle
