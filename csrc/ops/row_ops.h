// Row-wise operations on [n_rows, n] activations. Each is described first and runs when its rows are needed: for all of
// them at once, split over threads, or a few at a time by a linear layer that quantizes them while they are in the
// cache (linear_input.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "core/span.h"
#include "ops/context.h"

namespace belle {

/// An operation on rows, each of which must be computed exactly once. What it reads and writes must stay valid.
struct RowOperation {
  Operation operation;                                // what its time counts as
  std::function<void(size_t begin, size_t end)> run;  // rows [begin, end); does not throw; for any thread
};

/// All rows, split over threads.
void run_rows(const OpsContext& context, const RowOperation& rows, size_t n_rows);

/// out = LayerNorm(x); out may be x.
RowOperation layer_norm_rows(const OpsContext& context, const float* x, size_t n, const float* weight,
                             const float* bias, float eps, float* out);

/// out = RMSNorm(x); out may be x.
RowOperation rms_norm_rows(const OpsContext& context, const float* x, size_t n, const float* weight, float eps,
                           float* out);

/// x = GELU(x), BLOOM's tanh form.
RowOperation gelu_rows(const OpsContext& context, float* x, size_t n);

/// out = SiLU(gate) * up; out may be gate.
RowOperation silu_multiply_rows(const OpsContext& context, const float* gate, const float* up, size_t n, float* out);

/// x += y
RowOperation add_rows(const OpsContext& context, float* x, const float* y, size_t n);

/// out [rows.size(), n] = the chosen rows of x [*, n].
void gather_rows(const float* x, size_t n, Span<const uint32_t> rows, float* out);

}  // namespace belle
