#include "ops/sampling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

#include "core/error.h"

namespace belle {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();

// No logit is finite. NaN and +inf come from the model; -inf everywhere is what a ban of every token leaves.
[[noreturn]] void fail_without_choice(Span<const float> logits) {
  for (const float logit : logits) {
    if (logit != kBanned) {
      throw ModelFormatError(
          "the model computed no finite logit: its weights are damaged; download or convert the file again");
    }
  }
  throw std::invalid_argument("every token is banned: leave at least one");
}

int32_t argmax(Span<const float> logits) {
  size_t best = 0;
  float highest = kBanned;
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > highest) {
      highest = logits[i];
      best = i;
    }
  }
  if (!std::isfinite(highest)) fail_without_choice(logits);
  return static_cast<int32_t>(best);
}

}  // namespace

TokenLogprobs log_probabilities(Span<const float> logits, int32_t chosen, size_t n_top) {
  const double highest = static_cast<double>(logits[static_cast<size_t>(argmax(logits))]);
  double total = 0.0;
  for (const float logit : logits) total += std::exp(static_cast<double>(logit) - highest);
  const double log_total = highest + std::log(total);
  const auto log_probability = [&](size_t id) {
    return static_cast<float>(static_cast<double>(logits[id]) - log_total);
  };

  std::vector<size_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), size_t{0});
  const size_t n = std::min(n_top, ids.size());
  std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(n), ids.end(),
                    [&](size_t a, size_t b) { return logits[a] > logits[b] || (logits[a] == logits[b] && a < b); });
  TokenLogprobs result{log_probability(static_cast<size_t>(chosen)), {}};
  for (size_t i = 0; i < n; ++i) result.top.push_back({static_cast<int32_t>(ids[i]), log_probability(ids[i])});
  return result;
}

Sampler::Sampler(SamplingOptions options) : options_(std::move(options)), random_state_(options_.seed) {}

void Sampler::accept(Span<const int32_t> ids) {
  for (const int32_t id : ids) ++counts_[id];
}

int32_t Sampler::sample(Span<const float> logits) {
  const Span<const float> scores = adjusted(logits);
  int32_t id;
  if (options_.temperature == 0.0f) {
    id = argmax(scores);
  } else {
    collect_candidates(scores);
    id = draw();
  }
  ++counts_[id];
  return id;
}

bool Sampler::adjusts_logits() const noexcept {
  return options_.repetition_penalty != 1.0f || options_.presence_penalty != 0.0f ||
         options_.frequency_penalty != 0.0f || !options_.logit_bias.empty() || !options_.banned.empty();
}

Span<const float> Sampler::adjusted(Span<const float> logits) {
  if (!adjusts_logits()) return logits;
  scratch_.assign(logits.begin(), logits.end());
  const auto valid = [&](int32_t id) { return id >= 0 && static_cast<size_t>(id) < scratch_.size(); };
  for (const auto& [id, count] : counts_) {
    if (!valid(id)) continue;
    float& logit = scratch_[static_cast<size_t>(id)];
    logit = logit > 0.0f ? logit / options_.repetition_penalty : logit * options_.repetition_penalty;
    logit -= options_.presence_penalty + options_.frequency_penalty * static_cast<float>(count);
  }
  for (const auto& [id, bias] : options_.logit_bias) {
    if (valid(id)) scratch_[static_cast<size_t>(id)] += bias;
  }
  for (const int32_t id : options_.banned) {
    if (valid(id)) scratch_[static_cast<size_t>(id)] = kBanned;
  }
  return scratch_;
}

// Fills candidates_, highest first as far as top-k, top-p and min-p need the order, and weights_.
void Sampler::collect_candidates(Span<const float> logits) {
  const auto before = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  };
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > kBanned) candidates_.push_back({logits[i] / options_.temperature, static_cast<int32_t>(i)});
  }
  if (candidates_.empty()) argmax(logits);  // throws

  const size_t k = static_cast<size_t>(options_.top_k);
  if (k > 0 && k < candidates_.size()) {  // ties with the k-th stay, as in Hugging Face's warper
    std::nth_element(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(k) - 1, candidates_.end(),
                     before);
    const float threshold = candidates_[k - 1].logit;
    const auto end = std::partition(candidates_.begin(), candidates_.end(),
                                    [&](const Candidate& candidate) { return candidate.logit >= threshold; });
    candidates_.erase(end, candidates_.end());
  }
  const float highest =
      std::min_element(candidates_.begin(), candidates_.end(), before)->logit;  // first in order = largest logit
  if (!std::isfinite(highest))
    throw ModelFormatError("a logit is infinite: the model's weights are damaged, or the temperature is too small");
  const bool nucleus = options_.top_p < 1.0f;
  double total = 0.0;
  if (nucleus) {
    for (const Candidate& candidate : candidates_) total += std::exp(static_cast<double>(candidate.logit - highest));
    keep_nucleus(total);
  }
  weights_.clear();
  for (const Candidate& candidate : candidates_) {
    const double weight = std::exp(static_cast<double>(candidate.logit - highest));
    weights_.push_back(weight >= static_cast<double>(options_.min_p) ? weight : 0.0);  // the highest weighs 1
  }
}

// The smallest set of most likely tokens that holds top_p of the total. Only as many as needed are sorted.
void Sampler::keep_nucleus(double total) {
  const auto before = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  };
  const double wanted = static_cast<double>(options_.top_p) * total;
  double sum = 0.0, highest = 0.0;
  size_t n_sorted = 0;
  for (size_t chunk = 64; n_sorted < candidates_.size(); chunk *= 4) {
    const size_t end = std::min(candidates_.size(), n_sorted + chunk);
    std::partial_sort(candidates_.begin() + static_cast<std::ptrdiff_t>(n_sorted),
                      candidates_.begin() + static_cast<std::ptrdiff_t>(end), candidates_.end(), before);
    if (n_sorted == 0) highest = static_cast<double>(candidates_[0].logit);
    for (; n_sorted < end; ++n_sorted) {
      sum += std::exp(static_cast<double>(candidates_[n_sorted].logit) - highest);
      if (sum >= wanted) {
        candidates_.resize(n_sorted + 1);
        return;
      }
    }
  }
}

int32_t Sampler::draw() {
  double total = 0.0;
  for (const double weight : weights_) total += weight;
  const double target = uniform() * total;
  double sum = 0.0;
  size_t last = 0;
  for (size_t i = 0; i < weights_.size(); ++i) {
    if (weights_[i] == 0.0) continue;
    sum += weights_[i];
    last = i;
    if (sum > target) break;
  }
  return candidates_[last].id;
}

// SplitMix64 (Steele, Lea & Flood 2014): the same stream on every platform.
double Sampler::uniform() noexcept {
  random_state_ += 0x9e3779b97f4a7c15u;
  uint64_t z = random_state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  return static_cast<double>(z >> 11) * (1.0 / 9007199254740992.0);
}

}  // namespace belle
