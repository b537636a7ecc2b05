// Dense float32 arithmetic with one order of operations, as the submodule `dense`: csrc/dense.
#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "bindings/bindings.h"
#include "dense/products.h"
#include "dense/rows.h"
#include "dense/text_attention.h"

namespace belle {
namespace {

using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;
using Positions = py::array_t<uint32_t, py::array::c_style | py::array::forcecast>;

constexpr size_t kParallelWork = 1 << 18;  // fused multiply-adds, or values of functions; below, threads cost more

size_t threads_for(size_t work, size_t threads) { return work < kParallelWork ? 1 : threads; }

struct Shape {
  size_t n, width;
};

Shape matrix_shape(const char* function, const char* name, const py::array& x) {
  if (x.ndim() != 2) {
    throw py::value_error(std::string("[dense.") + function + "] " + name + ": expected two dimensions, got " +
                          std::to_string(x.ndim()));
  }
  return {static_cast<size_t>(x.shape(0)), static_cast<size_t>(x.shape(1))};
}

void require_size(const char* function, const char* name, size_t found, size_t expected) {
  if (found == expected) return;
  throw py::value_error(std::string("[dense.") + function + "] " + name + ": expected " + std::to_string(expected) +
                        ", got " + std::to_string(found));
}

FloatType float_type_of(const py::array& rows) {
  const auto dtype = rows.dtype();
  if (dtype.kind() == 'f' && dtype.itemsize() == 4) return FloatType::kF32;
  if (dtype.kind() == 'f' && dtype.itemsize() == 2) return FloatType::kF16;
  if (dtype.kind() == 'u' && dtype.itemsize() == 2) return FloatType::kBf16;
  throw py::value_error("[dense.linear] rows: expected float32, float16, or bfloat16 bits as uint16");
}

Floats run_linear(const Floats& x, const py::array& given, size_t threads, const std::string& isa) {
  const DenseKernels& kernels = dense_kernels_for(isa);
  const Shape input = matrix_shape("linear", "x", x), weights = matrix_shape("linear", "rows", given);
  require_size("linear", "columns of rows", weights.width, input.width);
  const FloatType type = float_type_of(given);
  const py::array rows = py::array::ensure(given, py::array::c_style);
  Floats y({input.n, weights.n});
  const FloatRows matrix{rows.data(), weights.n, weights.width, type};
  float* out = y.mutable_data();
  const py::gil_scoped_release no_gil;
  ThreadPool pool(threads_for(input.n * weights.n * input.width, threads));
  project_rows(kernels, pool, x.data(), input.n, matrix, out);
  return y;
}

void run_add_moments(py::array& moments, const Floats& x, size_t threads, const std::string& isa) {
  const DenseKernels& kernels = dense_kernels_for(isa);
  const Shape sums = matrix_shape("add_moments", "moments", moments), input = matrix_shape("add_moments", "x", x);
  require_size("add_moments", "rows of moments", sums.n, input.width);
  require_size("add_moments", "columns of moments", sums.width, input.width);
  if (!py::isinstance<py::array_t<float, py::array::c_style>>(moments) || !moments.writeable()) {
    throw py::value_error("[dense.add_moments] moments: expected contiguous float32 that may be written to");
  }
  float* out = static_cast<float*>(moments.mutable_data());
  const py::gil_scoped_release no_gil;
  ThreadPool pool(threads_for(input.n * input.width * input.width, threads));
  add_moments(kernels, pool, x.data(), input.n, input.width, out);
}

Floats run_rms_norm(const Floats& x, const Floats& weight, float eps, size_t threads, const std::string& isa) {
  const DenseKernels& kernels = dense_kernels_for(isa);
  const Shape shape = matrix_shape("rms_norm", "x", x);
  require_size("rms_norm", "weight", static_cast<size_t>(weight.size()), shape.width);
  Floats y({shape.n, shape.width});
  float* out = y.mutable_data();
  const py::gil_scoped_release no_gil;
  ThreadPool pool(threads_for(shape.n * shape.width, threads));
  rms_norm(kernels, pool, x.data(), shape.n, shape.width, weight.data(), eps, out);
  return y;
}

Floats run_layer_norm(const Floats& x, const Floats& weight, const Floats& bias, float eps, size_t threads,
                      const std::string& isa) {
  const DenseKernels& kernels = dense_kernels_for(isa);
  const Shape shape = matrix_shape("layer_norm", "x", x);
  require_size("layer_norm", "weight", static_cast<size_t>(weight.size()), shape.width);
  require_size("layer_norm", "bias", static_cast<size_t>(bias.size()), shape.width);
  Floats y({shape.n, shape.width});
  float* out = y.mutable_data();
  const py::gil_scoped_release no_gil;
  ThreadPool pool(threads_for(shape.n * shape.width, threads));
  layer_norm(kernels, pool, x.data(), shape.n, shape.width, weight.data(), bias.data(), eps, out);
  return y;
}

Floats run_silu_product(const Floats& gate, const Floats& up, size_t threads, const std::string& isa) {
  const DenseKernels& kernels = dense_kernels_for(isa);
  const Shape shape = matrix_shape("silu_product", "gate", gate), other = matrix_shape("silu_product", "up", up);
  require_size("silu_product", "rows of up", other.n, shape.n);
  require_size("silu_product", "columns of up", other.width, shape.width);
  Floats y({shape.n, shape.width});
  float* out = y.mutable_data();
  const py::gil_scoped_release no_gil;
  ThreadPool pool(threads_for(shape.n * shape.width, threads));
  silu_product(kernels, pool, gate.data(), up.data(), shape.n, shape.width, out);
  return y;
}

Floats run_gelu(const Floats& x, size_t threads, const std::string& isa) {
  const DenseKernels& kernels = dense_kernels_for(isa);
  const Shape shape = matrix_shape("gelu", "x", x);
  Floats y({shape.n, shape.width});
  float* out = y.mutable_data();
  const py::gil_scoped_release no_gil;
  ThreadPool pool(threads_for(shape.n * shape.width, threads));
  gelu(kernels, pool, x.data(), shape.n, shape.width, out);
  return y;
}

Floats run_attention(const Floats& q, const Floats& k, const Floats& v, size_t n_heads, size_t n_kv_heads,
                     const std::vector<size_t>& lengths, const std::optional<Floats>& slopes, size_t threads,
                     const std::string& isa) {
  const DenseKernels& kernels = dense_kernels_for(isa);
  const Shape queries = matrix_shape("attention", "q", q), keys = matrix_shape("attention", "k", k);
  const Shape values = matrix_shape("attention", "v", v);
  if (n_heads == 0 || n_kv_heads == 0 || n_heads % n_kv_heads != 0 || queries.width % n_heads != 0) {
    throw py::value_error("[dense.attention] " + std::to_string(n_heads) + " heads with " + std::to_string(n_kv_heads) +
                          " of keys do not divide " + std::to_string(queries.width) + " columns of q");
  }
  const size_t head_dim = queries.width / n_heads;
  for (const Shape& other : {keys, values}) {
    require_size("attention", "rows of k and v", other.n, queries.n);
    require_size("attention", "columns of k and v", other.width, n_kv_heads * head_dim);
  }
  size_t n = 0;  // a sum that could wrap around is refused before it does
  for (const size_t length : lengths) n = length > queries.n - n ? std::numeric_limits<size_t>::max() : n + length;
  require_size("attention", "sum of lengths", n, queries.n);
  if (slopes) require_size("attention", "alibi_slopes", static_cast<size_t>(slopes->size()), n_heads);
  Floats y({queries.n, queries.width});
  const TextHeads heads{n_heads, n_kv_heads, head_dim, slopes ? slopes->data() : nullptr, lengths};
  float* out = y.mutable_data();
  const py::gil_scoped_release no_gil;
  ThreadPool pool(threads_for(queries.n * queries.width * 32, threads));
  attend_texts(kernels, pool, heads, q.data(), k.data(), v.data(), out);
  return y;
}

Floats run_rotate(const Floats& x, const Positions& positions, size_t n_heads, double base, size_t dims, double scale,
                  size_t threads) {
  const Shape shape = matrix_shape("rotate", "x", x);
  require_size("rotate", "positions", static_cast<size_t>(positions.size()), shape.n);
  if (n_heads == 0 || shape.width % n_heads != 0 || dims % 2 != 0 || dims > shape.width / n_heads) {
    throw py::value_error("[dense.rotate] dims: " + std::to_string(dims) + " of " + std::to_string(n_heads) +
                          " heads in " + std::to_string(shape.width) + " columns: expected an even part of a head");
  }
  Floats y({shape.n, shape.width});
  float* out = y.mutable_data();
  std::copy_n(x.data(), shape.n * shape.width, out);
  const Rotation rotation{n_heads, shape.width / n_heads, dims, base, scale};
  const Span<const uint32_t> rows(positions.data(), shape.n);
  const py::gil_scoped_release no_gil;
  ThreadPool pool(threads_for(shape.n * shape.width, threads));
  rotate_heads(pool, rotation, rows, out);
  return y;
}

std::vector<std::string> supported_isas() {
  std::vector<std::string> names;
  for (const DenseIsa& isa : dense_isas()) {
    if (isa.supported()) names.push_back(isa.name);
  }
  return names;
}

}  // namespace

void bind_dense(py::module_& module) {
  py::module_ dense = module.def_submodule("dense");
  const auto threads = py::arg("threads") = 0;
  const auto isa = py::arg("isa") = "";
  dense.def("isas", supported_isas);
  dense.def("linear", run_linear, py::arg("x"), py::arg("rows"), py::kw_only(), threads, isa);
  dense.def("add_moments", run_add_moments, py::arg("moments"), py::arg("x"), py::kw_only(), threads, isa);
  dense.def("rms_norm", run_rms_norm, py::arg("x"), py::arg("weight"), py::arg("eps"), py::kw_only(), threads, isa);
  dense.def("layer_norm", run_layer_norm, py::arg("x"), py::arg("weight"), py::arg("bias"), py::arg("eps"),
            py::kw_only(), threads, isa);
  dense.def("silu_product", run_silu_product, py::arg("gate"), py::arg("up"), py::kw_only(), threads, isa);
  dense.def("gelu", run_gelu, py::arg("x"), py::kw_only(), threads, isa);
  dense.def("attention", run_attention, py::arg("q"), py::arg("k"), py::arg("v"), py::kw_only(), py::arg("n_heads"),
            py::arg("n_kv_heads"), py::arg("lengths"), py::arg("alibi_slopes") = py::none(), threads, isa);
  dense.def("rotate", run_rotate, py::arg("x"), py::arg("positions"), py::kw_only(), py::arg("n_heads"),
            py::arg("base"), py::arg("dims"), py::arg("scale") = 1.0, threads);
}

}  // namespace belle
