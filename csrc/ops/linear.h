// y = x W^T + b over packed panels, and embedding lookups from the same panels.
#pragma once

#include <cstdint>
#include <string>

#include "core/span.h"
#include "ops/context.h"
#include "ops/linear_input.h"

namespace belle {

constexpr size_t kNoIndex = static_cast<size_t>(-1);

/// A packed weight matrix [n_rows, n_cols]; the panels live in the model's weight image.
struct Matrix {
  std::string name;  // GGUF tensor name, for errors
  WeightType type = WeightType::kF32;
  size_t n_rows = 0;
  size_t n_cols = 0;
  const uint8_t* panels = nullptr;
  size_t index = kNoIndex;                  // among the matrices of its model; of its entry in ActivationForms
  Operation operation = Operation::kOther;  // what a product with it counts as in a profile

  bool present() const noexcept { return panels != nullptr; }
  bool quantized() const noexcept { return traits_of(type).quantized; }
  size_t image_bytes() const noexcept { return panel_count(n_rows) * panel_bytes(type, n_cols); }
};

/// y [n_tokens, weight.n_rows] = input W^T (+ bias [n_rows] unless null).
struct LinearOutput {
  const Matrix& weight;
  const float* bias;
  float* y;
};

/// Linear layers with one input, as one piece of work for the threads (queries, keys and values; gate and up). The
/// tokens of a prompt meet a quantized weight in the form that context.forms names for it. Throws
/// std::invalid_argument when the input's columns are not a weight's.
void linear(const OpsContext& context, LinearInput& input, Span<const LinearOutput> outputs);

/// One layer: x [n_tokens, weight.n_cols].
inline void linear(const OpsContext& context, QuantizedStorage& storage, const float* x, size_t n_tokens,
                   const Matrix& weight, const float* bias, float* y) {
  LinearInput input(context, storage, x, n_tokens, weight.n_cols);
  const LinearOutput output{weight, bias, y};
  linear(context, input, {&output, 1});
}

/// y [n_tokens, y_stride] = a share of the rows, by the wide kernels of `form`: the panels [begin, end), begin a
/// multiple of kWidePanels; input as LinearInput::packed(form) gives it. For one thread.
void wide_share(const OpsContext& context, ActivationForm form, const Matrix& weight, const PackedInput& input,
                size_t n_tokens, size_t begin, size_t end, uint8_t* scratch, float* y, size_t y_stride) noexcept;

/// out[i] = row ids[i] of the table, dequantized; out [ids.size(), table.n_cols].
/// Throws std::invalid_argument for an id that is not a row.
void embed(const OpsContext& context, const Matrix& table, Span<const int32_t> ids, float* out);

}  // namespace belle
