// The interface of a decoder-only transformer: rows of mixed sequences in, logits of chosen rows out.
#pragma once

#include <algorithm>
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

/// A pass that rests between two layers, so that others can run; it goes on where it stopped.
struct RestingPass {
  std::function<bool()> is_due;  // asked between layers: whether to rest now
  std::vector<float> hidden;     // [n_rows, hidden_size]: what the next layer takes
  size_t next_layer = 0;         // 0: it has not begun
};

/// Takes the logits of a pass some rows at a time, so that a large vocabulary needs memory for these alone.
struct LogitPieces {
  size_t n_rows;  // at a time, at most
  /// Rows [first, first + n_rows) of PassInput::logit_rows; it may change the logits.
  std::function<void(size_t first, size_t n_rows, float* logits)> take;
};

/// Rows of one pass, in order; a sequence's rows are consecutive positions and its pages are already writable.
struct PassInput {
  Span<const int32_t> tokens;
  Span<const KvRow> rows;           // one per token
  Span<const uint32_t> logit_rows;  // rows whose logits are wanted, ascending
  InputObserver* observer = nullptr;
  RestingPass* resting = nullptr;       // of a pass that may rest; the same rows each time
  const LogitPieces* pieces = nullptr;  // null: all logits are written, one row after the other
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

  /// Writes logits [logit_rows.size(), vocab_size()], or with `pieces` [pieces->n_rows, vocab_size()] each time. Reuses
  /// its buffers: one pass at a time. Returns false where the pass rests: there are no logits yet, and what the layers
  /// stored of the rows has to stay until it goes on. A call goes at least one layer further.
  bool forward(const KvShape& kv, const PassInput& input, const InterruptCheck& check, float* logits) {
    observer_ = input.observer;
    RestingPass* const resting = input.resting;
    const size_t first = resting == nullptr ? 0 : resting->next_layer;
    float* hidden = fit(input.rows);
    if (first == 0) embed_rows(input.tokens);
    else std::copy(resting->hidden.begin(), resting->hidden.end(), hidden);
    for (size_t layer = first; layer < config_.n_layers; ++layer) {
      check();
      if (resting != nullptr && layer > first && resting->is_due()) {
        resting->hidden.assign(hidden, hidden + input.rows.size() * config_.hidden_size);
        resting->next_layer = layer;
        return false;
      }
      run_layer(kv, layer, input.rows);
    }
    if (input.logit_rows.size() > 0) write_logits(input, logits);
    return true;
  }

  /// Whether stored keys can move to other positions: they carry none (ALiBi), or one that can be turned back (rotary).
  virtual bool keys_can_move() const noexcept = 0;
  /// Adapts the stored keys of positions [first, last), which have just been moved down by `distance` positions.
  virtual void shift_keys(const KvShape&, uint8_t* const* /*pages*/, size_t /*first*/, size_t /*last*/,
                          size_t /*distance*/) {}

 protected:
  Decoder(ModelConfig config, const OpsContext& context) : config_(std::move(config)), context_(context) {}

  // What forward() is made of. All work on the hidden state [n_rows, hidden_size].

  /// Makes the buffers large enough, and what depends on positions alone. Returns the hidden state.
  virtual float* fit(Span<const KvRow> rows) = 0;
  virtual void embed_rows(Span<const int32_t> tokens) = 0;
  virtual void run_layer(const KvShape& kv, size_t layer, Span<const KvRow> rows) = 0;
  /// The output norm of the chosen rows, [rows.size(), hidden_size]; what the layers left is lost.
  virtual const float* normed_output(Span<const uint32_t> rows) = 0;
  /// logits [n_rows, vocab_size()] = the output matrix by normed rows [n_rows, hidden_size]
  virtual void project_to_vocabulary(const float* normed, size_t n_rows, float* logits) = 0;

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
  void write_logits(const PassInput& input, float* logits) {
    const size_t n_rows = input.logit_rows.size();
    const float* const normed = normed_output(input.logit_rows);
    const size_t step = input.pieces == nullptr ? n_rows : input.pieces->n_rows;
    for (size_t first = 0; first < n_rows; first += step) {
      const size_t n = std::min(step, n_rows - first);
      project_to_vocabulary(normed + first * config_.hidden_size, n, logits);
      if (input.pieces != nullptr) input.pieces->take(first, n, logits);
    }
  }

  InputObserver* observer_ = nullptr;  // of the pass that runs
};

}  // namespace belle
