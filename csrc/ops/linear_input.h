// The input of linear layers, in every form that their kernels ask for.
#pragma once

#include <cstdint>
#include <vector>

#include "core/memory.h"
#include "ops/context.h"
#include "ops/scratch_pool.h"

namespace belle {

/// Up to this many tokens the kernels of ActivationBlock run, whose bits do not depend on the batch: decoding, small
/// batches. More tokens may take a wide form.
constexpr size_t kNarrowTokens = 16;

/// Room for the forms of activations; grows to the largest input and is then reused.
struct QuantizedStorage {
  std::vector<ActivationBlock> blocks;
  Buffer packed[kActivationFormCount];  // the wide forms
  ScratchPool scratch;                  // attention of prompts borrows it
};

/// Activations x [n_tokens, n_cols] as the input of one or more linear layers; each form is made at most once, on
/// demand.
class LinearInput {
 public:
  LinearInput(const OpsContext& context, QuantizedStorage& storage, const float* x, size_t n_tokens, size_t n_cols)
      : context_(context), storage_(storage), x_(x), n_tokens_(n_tokens), n_cols_(n_cols) {}

  const float* floats() const noexcept { return x_; }
  size_t n_tokens() const noexcept { return n_tokens_; }
  size_t n_cols() const noexcept { return n_cols_; }
  const ActivationBlock* blocks();  // [n_tokens, n_cols / 32]
  /// A form that context.kernels.wide has. n_cols must be a multiple of 32.
  const uint8_t* packed(ActivationForm form);
  /// Pieces for every thread, large enough for the kernels of this form.
  ScratchPool& scratch(ActivationForm form);

 private:
  const WideKernels& wide(ActivationForm form) const { return *context_.kernels.wide[static_cast<size_t>(form)]; }

  const OpsContext& context_;
  QuantizedStorage& storage_;
  const float* x_;
  size_t n_tokens_;
  size_t n_cols_;
  bool blocks_done_ = false;
  bool packed_done_[kActivationFormCount] = {};
};

}  // namespace belle
