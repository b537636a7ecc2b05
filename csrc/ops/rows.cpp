#include "ops/rows.h"

namespace belle {

void layer_norm_rows(const OpsContext& context, const float* x, size_t n_rows, size_t n, const float* weight,
                     const float* bias, float eps, float* out) {
  const OperationTimer timer(context.profile, Operation::kNorm);
  context.pool.parallel_for(n_rows, [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) context.kernels.layer_norm(x + r * n, weight, bias, eps, n, out + r * n);
  });
}

void rms_norm_rows(const OpsContext& context, const float* x, size_t n_rows, size_t n, const float* weight, float eps,
                   float* out) {
  const OperationTimer timer(context.profile, Operation::kNorm);
  context.pool.parallel_for(n_rows, [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) context.kernels.rms_norm(x + r * n, weight, eps, n, out + r * n);
  });
}

void gelu_rows(const OpsContext& context, float* x, size_t n_rows, size_t n) {
  const OperationTimer timer(context.profile, Operation::kActivation);
  context.pool.parallel_for(n_rows, [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) context.kernels.gelu(x + r * n, n);
  });
}

void silu_multiply_rows(const OpsContext& context, const float* gate, const float* up, size_t n_rows, size_t n,
                        float* out) {
  const OperationTimer timer(context.profile, Operation::kActivation);
  context.pool.parallel_for(n_rows, [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) context.kernels.silu_multiply(gate + r * n, up + r * n, n, out + r * n);
  });
}

void add_rows(const OpsContext& context, float* x, const float* y, size_t n_rows, size_t n) {
  const OperationTimer timer(context.profile, Operation::kResidual);
  context.pool.parallel_for(n_rows, [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) context.kernels.add(x + r * n, y + r * n, n);
  });
}

}  // namespace belle
