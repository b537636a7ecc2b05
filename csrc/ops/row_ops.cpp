#include "ops/row_ops.h"

#include <algorithm>

namespace belle {
namespace {

template <class Body>
RowOperation each_row(Operation operation, const Body& body) {
  return {operation, [body](size_t begin, size_t end) {
            for (size_t row = begin; row < end; ++row) body(row);
          }};
}

}  // namespace

void run_rows(const OpsContext& context, const RowOperation& rows, size_t n_rows) {
  const OperationTimer timer(context.profile, rows.operation);
  context.pool.parallel_for(n_rows, rows.run);
}

RowOperation layer_norm_rows(const OpsContext& context, const float* x, size_t n, const float* weight,
                             const float* bias, float eps, float* out) {
  return each_row(Operation::kNorm, [=, &context](size_t r) {
    context.kernels.layer_norm(x + r * n, weight, bias, eps, n, out + r * n);
  });
}

RowOperation rms_norm_rows(const OpsContext& context, const float* x, size_t n, const float* weight, float eps,
                           float* out) {
  return each_row(Operation::kNorm,
                  [=, &context](size_t r) { context.kernels.rms_norm(x + r * n, weight, eps, n, out + r * n); });
}

RowOperation gelu_rows(const OpsContext& context, float* x, size_t n) {
  return each_row(Operation::kActivation, [=, &context](size_t r) { context.kernels.gelu(x + r * n, n); });
}

RowOperation silu_multiply_rows(const OpsContext& context, const float* gate, const float* up, size_t n, float* out) {
  return each_row(Operation::kActivation,
                  [=, &context](size_t r) { context.kernels.silu_multiply(gate + r * n, up + r * n, n, out + r * n); });
}

RowOperation add_rows(const OpsContext& context, float* x, const float* y, size_t n) {
  return each_row(Operation::kResidual, [=, &context](size_t r) { context.kernels.add(x + r * n, y + r * n, n); });
}

void gather_rows(const float* x, size_t n, Span<const uint32_t> rows, float* out) {
  for (size_t i = 0; i < rows.size(); ++i) std::copy_n(x + rows[i] * n, n, out + i * n);
}

}  // namespace belle
