// Choosing the next token from logits over the whole vocabulary.
#pragma once

#include <cstdint>
#include <exception>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/span.h"
#include "kernels/table.h"

namespace belle {

/// Neutral defaults: plain sampling from the softmax.
struct SamplingOptions {
  float temperature = 1.0f;         // 0 = argmax
  int32_t top_k = 0;                // 0 = off
  float top_p = 1.0f;               // 1 = off (Holtzman et al. 2020)
  float min_p = 0.0f;               // 0 = off (Nguyen et al. 2024)
  float repetition_penalty = 1.0f;  // 1 = off (Keskar et al. 2019, section 4.1)
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  uint64_t seed = 0;
  std::vector<std::pair<int32_t, float>> logit_bias;
  std::vector<int32_t> banned;
};

struct TokenProbability {
  int32_t id;
  float log_probability;  // natural logarithm
};

/// The chosen token's log-probability, and the `n_top` most likely tokens, highest first.
struct TokenLogprobs {
  float chosen;
  std::vector<TokenProbability> top;
};

/// From the softmax of logits [n_vocab] as they are, before any sampling setting.
TokenLogprobs log_probabilities(Span<const float> logits, int32_t chosen, size_t n_top);

/// What is not allowed leaves first. Then in order, Hugging Face's: repetition penalty, presence and frequency penalty,
/// bias, bans, temperature, top-k, top-p, min-p, one draw. Equal logits rank by lower id.
class Sampler {
 public:
  Sampler(SamplingOptions options, const KernelTable& kernels);

  /// Adds tokens to the history that the penalties count.
  void accept(Span<const int32_t> ids);
  /// Goes on after these tokens, which a sampler with the same options chose: their random numbers are used up, too.
  void resume(Span<const int32_t> ids);
  /// The next choice is one of these: bit i % 32 of word i / 32 stands for token i, and what has no bit is not allowed.
  void allow(Span<const uint32_t> words);
  /// Chooses from logits [n_vocab], accepts the choice and forgets what was allowed.
  /// Throws ModelFormatError when the logits themselves are not finite, std::invalid_argument when the settings leave
  /// no finite one: everything allowed is banned, or a bias or penalty is too large.
  int32_t sample(Span<const float> logits);

 private:
  struct Candidate {
    float logit;
    int32_t id;
  };

  bool adjusts_logits() const noexcept;
  void keep_allowed(Span<const float> logits);
  Span<const float> adjusted(Span<const float> logits);
  float bound_of_top_k(Span<const float> logits);
  void collect_candidates(Span<const float> logits, Span<const float> scores);
  float weigh(Span<const float> logits, Span<const float> scores);
  void keep_nucleus(double total);
  int32_t draw();
  double uniform() noexcept;

  SamplingOptions options_;
  const KernelTable* kernels_;
  uint64_t random_state_;
  std::unordered_map<int32_t, uint32_t> counts_;
  std::vector<uint32_t> allowed_;      // a bit per token
  bool restricted_ = false;            // whether allowed_ counts for the next choice
  std::vector<float> scratch_;         // [n_vocab]
  std::vector<float> block_maxima_;    // of the logits, when only the largest matter
  std::vector<float> sorted_maxima_;   // the same, the largest first
  std::vector<Candidate> candidates_;  // those still in the running
  std::vector<float> weights_;         // unnormalized probabilities of candidates_
};

/// What one sequence gets from its row of logits.
struct SampledToken {
  int32_t id;
  TokenLogprobs logprobs;    // only where asked for
  std::exception_ptr error;  // null, or why there is no token
};
constexpr int kNoLogprobs = -1;

/// One choice by `sampler`. n_top: how many of the most likely tokens to report; kNoLogprobs: no log-probabilities.
/// What Sampler::sample and log_probabilities throw becomes the result's error.
SampledToken choose_token(Sampler& sampler, Span<const float> logits, int n_top);

}  // namespace belle
