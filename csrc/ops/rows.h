// Row-wise operations on [n_rows, n] activations, split over threads by row.
#pragma once

#include <cstddef>

#include "ops/context.h"

namespace belle {

/// out = LayerNorm(x); out may be x.
void layer_norm_rows(const OpsContext& context, const float* x, size_t n_rows, size_t n, const float* weight,
                     const float* bias, float eps, float* out);

/// out = RMSNorm(x); out may be x.
void rms_norm_rows(const OpsContext& context, const float* x, size_t n_rows, size_t n, const float* weight, float eps,
                   float* out);

/// x = GELU(x), BLOOM's tanh form.
void gelu_rows(const OpsContext& context, float* x, size_t n_rows, size_t n);

/// out = SiLU(gate) * up; out may be gate.
void silu_multiply_rows(const OpsContext& context, const float* gate, const float* up, size_t n_rows, size_t n,
                        float* out);

/// x += y
void add_rows(const OpsContext& context, float* x, const float* y, size_t n_rows, size_t n);

}  // namespace belle
