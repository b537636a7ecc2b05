// A loaded model with its sequences: several sequences go through one forward pass together.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/load_progress.h"
#include "kernels/registry.h"
#include "kv/pages.h"
#include "model/decoder.h"
#include "ops/token_scores.h"
#include "sampling/sampler.h"
#include "tuning/activation_policy.h"

namespace belle {

class Engine;

constexpr size_t kMaxPassRows = 512;  // bounds the activation buffers; longer prompts take several passes

/// One token sequence and its KV pages. Every member is safe from any thread, and throws std::runtime_error in a child
/// of fork(), where another thread may hold the lock for ever; a sequence outlives nothing but its engine.
class Sequence {
 public:
  Sequence(std::shared_ptr<Engine> engine, KvSequence kv);

  size_t length() const;
  std::vector<int32_t> tokens() const;
  std::shared_ptr<Sequence> fork() const;
  /// Throws std::invalid_argument when `length` is more than there is.
  void truncate(size_t length);
  /// Forgets positions [begin, end) and moves the later ones down. Throws std::invalid_argument for a bad range.
  void discard(size_t begin, size_t end);
  /// The whole state as bytes, for Engine::restore, to the memory that `allocate` gives for their number. Layout in
  /// engine/state.cpp.
  void save(const std::function<uint8_t*(size_t)>& allocate) const;

 private:
  friend class Engine;

  // Every change of what it holds makes it another state, with a number of its own.
  void change();

  std::shared_ptr<Engine> engine_;
  KvSequence kv_;
  std::vector<int32_t> tokens_;
  uint64_t state_ = 0;
};

struct EngineOptions {
  size_t threads = 0;            // 0 = usable_processors()
  std::string isa;               // "" = the default tier
  std::string kv_type = "auto";  // "f32", "f16", "q8", "auto": f32 when no matrix is quantized, else f16
  // Forms of activations in prefill: a name of ops/activation_forms.h for every matrix, or "auto": BELLE_ACTIVATIONS
  // if set, else chosen by calibration for each matrix.
  std::string activations = "auto";
  LoadProgress* progress = nullptr;  // where others read how far it is; null: nobody does
};

enum class LogitsMode { kNone, kLast, kAll };

/// What one sequence brings to a pass. The phase decides the bits of its rows, together with the tokens before them;
/// nothing else does: not how many rows there are, nor what else is in the batch.
struct BatchEntry {
  Sequence* sequence;
  Span<const int32_t> tokens;
  Phase phase;
};

/// Tokens that are looked up in what an entry's rows say of the next one. Their rows count from the first token that
/// the entry appends; they ascend, one perhaps several times.
using ScoredTokens = Span<const TokenOfRow>;

/// What becomes of a batch in which one sampler finds no token to choose.
enum class ChoiceErrors {
  kThrow,   // the first error is thrown: every sequence keeps the length it had
  kReport,  // they are reported with the tokens of the others, and every sequence moves on
};

/// A batch whose pass may rest between two layers, so that others can run; what it computed so far stays. It goes on
/// with the same entries. Where one of their sequences was changed meanwhile it begins anew.
class RestingBatch {
 public:
  /// Layers that are done; 0 before it begins, and after its end.
  size_t n_layers() const noexcept { return pass_.next_layer; }

 private:
  friend class Engine;
  RestingPass pass_;
  std::vector<uint64_t> states_;  // of its sequences
  std::vector<int32_t> tokens_;
};

/// How a pass may rest: up to kMaxPassRows tokens of one phase, at least one layer further each time.
struct Rest {
  std::function<bool()> is_due;  // asked between layers
  RestingBatch& batch;
};

class Engine : public std::enable_shared_from_this<Engine> {
 public:
  /// Checks what the file holds and packs its weights; the file is of no use to the engine afterwards.
  /// Throws what read_config and WeightLoader do, std::invalid_argument for a bad option, SystemError, OutOfMemory.
  static std::shared_ptr<Engine> load(const GgufFile& gguf, const EngineOptions& options);

  const ModelConfig& config() const noexcept { return decoder_->config(); }
  size_t vocab_size() const noexcept { return decoder_->vocab_size(); }
  size_t weight_bytes() const noexcept { return decoder_->weight_bytes(); }
  ReadAhead read_ahead() const noexcept { return context_.read_ahead; }
  const char* isa() const noexcept { return context_.kernels.name; }
  size_t threads() const noexcept { return pool_.size(); }
  const KvShape& kv_shape() const noexcept { return kv_pool_->shape(); }
  size_t kv_bytes() const { return kv_pool_->allocated_bytes(); }
  /// What calibration chose for each matrix; empty where there was none.
  const std::vector<ActivationChoice>& activation_choices() const noexcept { return activation_choices_; }

  /// From now on passes report the time of each operation; the times begin at nothing.
  void start_profile();
  /// Ends that. Returns the times, indexed by Operation.
  std::array<Profile::Entry, kOperationCount> stop_profile();

  std::shared_ptr<Sequence> new_sequence();
  /// Throws std::invalid_argument when the bytes are damaged or belong to another model or KV type.
  std::shared_ptr<Sequence> restore(Span<const uint8_t> state);

  /// Rows of logits that forward() writes for these entries.
  static size_t logit_row_count(Span<const BatchEntry> batch, LogitsMode mode) noexcept;

  /// Appends each entry's tokens to its sequence in one batch; logits [logit_row_count, vocab_size] in entry order.
  /// On any exception every sequence keeps the length it had.
  /// Throws std::invalid_argument for bad entries and for those that cannot rest, std::runtime_error after fork(),
  /// Interrupted.
  /// rest: where the pass may rest. Returns false where it does; no sequence is longer then.
  bool forward(Span<const BatchEntry> batch, LogitsMode mode, const InterruptCheck& check, float* logits,
               const Rest* rest = nullptr);

  /// As forward for the last row of each entry, then one choice by each entry's sampler.
  /// n_top: how many of the most likely tokens to report; kNoLogprobs = no log-probabilities at all. Returns nothing
  /// where the pass rests.
  std::vector<SampledToken> forward_sample(Span<const BatchEntry> batch, Span<Sampler* const> samplers, int n_top,
                                           ChoiceErrors errors, const InterruptCheck& check,
                                           const Rest* rest = nullptr);

  /// As forward; then the scores of each entry's tokens, in order. However many rows and however large the vocabulary,
  /// no more than 64 MiB of logits are in memory, or one row. Throws std::invalid_argument also for a row or a token
  /// that does not exist, ModelFormatError where a row has no finite maximum.
  std::vector<TokenScore> forward_scores(Span<const BatchEntry> batch, Span<const ScoredTokens> asked,
                                         const InterruptCheck& check);

 private:
  friend class Sequence;

  Engine(const GgufFile& gguf, const EngineOptions& options);

  void validate(Span<const BatchEntry> batch) const;
  void run(Span<const BatchEntry> batch, const InterruptCheck& check, float* logits,
           const LogitPieces* pieces = nullptr);
  bool run_or_rest(Span<const BatchEntry> batch, const InterruptCheck& check, const Rest& rest, float* logits);
  void run_rows(size_t first, size_t end, const InterruptCheck& check, size_t& next_logit, float* logits,
                const LogitPieces* pieces);
  void collect_rows(Span<const BatchEntry> batch, LogitsMode mode);
  std::vector<TokenOfRow> collect_scored(Span<const BatchEntry> batch, Span<const ScoredTokens> asked);
  void compare_or_begin(Span<const BatchEntry> batch, RestingBatch& resting) const;
  static void commit(Span<const BatchEntry> batch);

  ThreadPool pool_;
  Profile profile_;
  OpsContext context_;        // the decoder keeps a reference
  uint64_t fingerprint_ = 0;  // of the file: a saved state must come back to the same weights
  std::unique_ptr<Decoder> decoder_;
  std::vector<ActivationChoice> activation_choices_;
  std::shared_ptr<KvPool> kv_pool_;

  std::atomic<uint64_t> n_states_{0};  // of sequences, ever

  mutable std::mutex mutex_;  // one pass, or one change of a sequence, at a time
  std::vector<int32_t> tokens_;
  std::vector<KvRow> rows_;
  std::vector<uint32_t> logit_rows_;
  std::vector<uint32_t> pass_logit_rows_;
  std::vector<float> sample_logits_;
};

}  // namespace belle
