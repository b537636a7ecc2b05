// The input of linear layers, in every form that their kernels ask for.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "core/memory.h"
#include "core/span.h"
#include "ops/context.h"
#include "ops/row_ops.h"
#include "ops/scratch_pool.h"

namespace belle {

/// Up to this many tokens take the kernels for few tokens, where block32 is their form.
constexpr size_t kNarrowTokens = 16;

/// Room for the forms of activations; grows to the largest input and is then reused.
struct QuantizedStorage {
  std::vector<ActivationBlock> blocks;
  Buffer packed[kActivationFormCount];  // the wide forms
  std::vector<float> outliers;          // of the packed slabs, [n_tokens, their number]
  ScratchPool scratch;                  // attention of prompts borrows it
};

/// Activations in a wide form, as WideMatmul takes them.
struct PackedInput {
  const uint8_t* packed;
  Outliers outliers;
};

/// Activations x [n_tokens, n_cols] as the input of one or more linear layers; each form is made at most once, on
/// demand. Where x is yet to be computed, its rows are packed as they come, while they are in the cache.
class LinearInput {
 public:
  LinearInput(const OpsContext& context, QuantizedStorage& storage, const float* x, size_t n_tokens, size_t n_cols)
      : context_(context), storage_(storage), x_(x), n_tokens_(n_tokens), n_cols_(n_cols) {}
  /// source: computes the rows of x; runs when a form is asked for.
  LinearInput(const OpsContext& context, QuantizedStorage& storage, RowOperation source, const float* x,
              size_t n_tokens, size_t n_cols)
      : LinearInput(context, storage, x, n_tokens, n_cols) {
    source_ = std::move(source);
  }

  const float* floats();
  size_t n_tokens() const noexcept { return n_tokens_; }
  size_t n_cols() const noexcept { return n_cols_; }
  const ActivationBlock* blocks();  // [n_tokens, n_cols / 32] as kernels/activation_order.h puts them
  /// A form that context.kernels.wide has. n_cols must be a multiple of 32. outliers: the columns to keep out of
  /// kSlab256, none for the other forms; must stay valid as long as the result, which ends where another call names
  /// other columns.
  PackedInput packed(ActivationForm form, Span<const uint32_t> outliers = {});
  /// Pieces for every thread, large enough for the kernels of this form.
  ScratchPool& scratch(ActivationForm form);

 private:
  const WideKernels& wide(ActivationForm form) const { return *context_.kernels.wide[static_cast<size_t>(form)]; }

  const OpsContext& context_;
  QuantizedStorage& storage_;
  const float* x_;
  size_t n_tokens_;
  size_t n_cols_;
  RowOperation source_ = {Operation::kOther, nullptr};  // empty: x is there
  bool blocks_done_ = false;
  bool packed_done_[kActivationFormCount] = {};
  Outliers outliers_ = {};  // that the packed slabs lack
};

}  // namespace belle
