// The interface of a decoder-only transformer: rows of mixed sequences in, logits of chosen rows out.
#pragma once

#include <functional>
#include <utility>
#include <vector>

#include "core/span.h"
#include "model/config.h"
#include "ops/attention.h"
#include "ops/context.h"
#include "ops/linear.h"

namespace belle {

/// Sees what the matrices of the layers meet in a pass.
class InputObserver {
 public:
  virtual ~InputObserver() = default;
  /// A matrix and its input, before their product.
  virtual void see(LinearInput& input, const Matrix& weight) = 0;
  /// What the matrices since the last call, a branch, have added to the hidden state, and the sum: [n_tokens, n] each.
  virtual void see_addition(const float* branch, const float* hidden, size_t n_tokens, size_t n) = 0;
};

/// Rows of one pass, in order; a sequence's rows are consecutive positions and its pages are already writable.
struct PassInput {
  Span<const int32_t> tokens;
  Span<const KvRow> rows;           // one per token
  Span<const uint32_t> logit_rows;  // rows whose logits are wanted, ascending
  InputObserver* observer = nullptr;
};

/// Called between layers; throws Interrupted to leave the pass.
using InterruptCheck = std::function<void()>;

class Decoder {
 public:
  virtual ~Decoder() = default;

  const ModelConfig& config() const noexcept { return config_; }
  virtual size_t vocab_size() const noexcept = 0;                    // rows of the output matrix
  virtual size_t embedding_rows() const noexcept = 0;                // token ids below this are valid
  virtual size_t weight_bytes() const noexcept = 0;                  // resident weight image
  virtual const std::vector<Matrix>& matrices() const noexcept = 0;  // all of them, in the order of the image

  /// Writes logits [logit_rows.size(), vocab_size()]. Reuses its buffers: one pass at a time.
  void forward(const KvShape& kv, const PassInput& input, const InterruptCheck& check, float* logits) {
    observer_ = input.observer;
    compute(kv, input, check, logits);
  }

  /// Whether stored keys can move to other positions: they carry none (ALiBi), or one that can be turned back (rotary).
  virtual bool keys_can_move() const noexcept = 0;
  /// Adapts the stored keys of positions [first, last), which have just been moved down by `distance` positions.
  virtual void shift_keys(const KvShape&, uint8_t* const* /*pages*/, size_t /*first*/, size_t /*last*/,
                          size_t /*distance*/) {}

 protected:
  Decoder(ModelConfig config, const OpsContext& context) : config_(std::move(config)), context_(context) {}

  /// forward()
  virtual void compute(const KvShape& kv, const PassInput& input, const InterruptCheck& check, float* logits) = 0;

  /// linear() for the matrices of a layer.
  void project(LinearInput& input, Span<const LinearOutput> outputs) {
    if (observer_ != nullptr) {
      for (const LinearOutput& output : outputs) observer_->see(input, output.weight);
    }
    linear(context_, input, outputs);
  }

  /// hidden += branch, for the observer.
  void show_addition(const float* branch, const float* hidden, size_t n_tokens) {
    if (observer_ != nullptr) observer_->see_addition(branch, hidden, n_tokens, config_.hidden_size);
  }

  ModelConfig config_;
  const OpsContext& context_;

 private:
  InputObserver* observer_ = nullptr;  // of the pass that runs
};

}  // namespace belle
