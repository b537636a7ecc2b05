// y = x W^T + b over packed panels, and embedding lookups from the same panels.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/span.h"
#include "ops/context.h"

namespace belle {

/// A packed weight matrix [n_rows, n_cols]; the panels live in the model's weight image.
struct Matrix {
  std::string name;  // GGUF tensor name, for errors
  WeightType type = WeightType::kF32;
  size_t n_rows = 0;
  size_t n_cols = 0;
  const uint8_t* panels = nullptr;
  Operation operation = Operation::kOther;  // what a product with it counts as in a profile

  bool present() const noexcept { return panels != nullptr; }
  bool quantized() const noexcept { return traits_of(type).quantized; }
  size_t image_bytes() const noexcept { return panel_count(n_rows) * panel_bytes(type, n_cols); }
};

/// Room for the int8 form of activations; grows to the largest input and is then reused.
struct QuantizedStorage {
  std::vector<int8_t> values;
  std::vector<float> scales;
  std::vector<int32_t> sums;
};

/// Activations x [n_tokens, n_cols] as the input of one or more linear layers; quantized at most once, on demand.
class LinearInput {
 public:
  LinearInput(const OpsContext& context, QuantizedStorage& storage, const float* x, size_t n_tokens, size_t n_cols)
      : context_(context), storage_(storage), x_(x), n_tokens_(n_tokens), n_cols_(n_cols) {}

  const float* floats() const noexcept { return x_; }
  size_t n_tokens() const noexcept { return n_tokens_; }
  size_t n_cols() const noexcept { return n_cols_; }
  QuantizedRows quantized();

 private:
  const OpsContext& context_;
  QuantizedStorage& storage_;
  const float* x_;
  size_t n_tokens_;
  size_t n_cols_;
  bool done_ = false;
};

/// y [n_tokens, weight.n_rows] = input W^T (+ bias [n_rows] unless null).
/// Throws std::invalid_argument when the input's columns are not the weight's.
void linear(const OpsContext& context, LinearInput& input, const Matrix& weight, const float* bias, float* y);

/// The same for an input of one layer: x [n_tokens, weight.n_cols].
inline void linear(const OpsContext& context, QuantizedStorage& storage, const float* x, size_t n_tokens,
                   const Matrix& weight, const float* bias, float* y) {
  LinearInput input(context, storage, x, n_tokens, weight.n_cols);
  linear(context, input, weight, bias, y);
}

/// out[i] = row ids[i] of the table, dequantized; out [ids.size(), table.n_cols].
/// Throws std::invalid_argument for an id that is not a row.
void embed(const OpsContext& context, const Matrix& table, Span<const int32_t> ids, float* out);

/// Packs GGUF rows into panels, in parallel; out holds weight.image_bytes().
void pack_matrix(ThreadPool& pool, const Matrix& weight, const uint8_t* rows, uint8_t* out);

}  // namespace belle
