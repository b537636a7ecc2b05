#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

#include "core/error.h"

namespace belle {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();
constexpr uint32_t kMinusInfinityBits = 0xff800000u;
constexpr size_t kBlock = 64;  // logits that share one maximum

constexpr float kTinyTemperature = 1e-30f;  // below it a logit of a few hundred millions divided by it is infinite

bool is_wrong(float logit) noexcept { return std::isnan(logit) || logit == -kBanned; }

// The best of `scores` is not finite. NaN and +inf among `logits` are the model's fault; where only the scores have
// them, the settings made them; -inf everywhere is what a ban of every token leaves, or of every allowed one.
[[noreturn]] void fail_without_choice(Span<const float> logits, Span<const float> scores, bool restricted) {
  if (std::any_of(logits.begin(), logits.end(), is_wrong)) {
    throw ModelFormatError(
        "no finite logit to choose from: if the model computed these, its weights are damaged (download or convert the "
        "file again), or a float16 cache cannot hold its numbers (load it with kv='f32')");
  }
  if (std::any_of(scores.begin(), scores.end(), is_wrong)) {
    throw std::invalid_argument(
        "logit_bias, repetition_penalty, presence_penalty or frequency_penalty makes a logit infinite: use smaller "
        "numbers");
  }
  throw std::invalid_argument(restricted ? "no token may come next: logit_bias and banned forbid all that the schema, "
                                           "grammar, regex or choice allows here, or it has become too complex"
                                         : "every token is banned: leave at least one");
}

// The largest of some logits that is a number; -inf without any. Independent lanes, so that it becomes vector code.
float largest(const float* logits, size_t n) noexcept {
  constexpr size_t kLanes = 8;
  float lanes[kLanes];
  std::fill(lanes, lanes + kLanes, kBanned);
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] = logits[i + lane] > lanes[lane] ? logits[i + lane] : lanes[lane];
    }
  }
  for (; i < n; ++i) lanes[0] = logits[i] > lanes[0] ? logits[i] : lanes[0];
  return *std::max_element(lanes, lanes + kLanes);
}

int32_t argmax(Span<const float> logits, Span<const float> scores, bool restricted) {
  const float highest = largest(scores.data(), scores.size());
  if (!std::isfinite(highest)) fail_without_choice(logits, scores, restricted);
  return static_cast<int32_t>(std::find(scores.begin(), scores.end(), highest) - scores.begin());
}

}  // namespace

TokenLogprobs log_probabilities(Span<const float> logits, int32_t chosen, size_t n_top) {
  const double highest = static_cast<double>(logits[static_cast<size_t>(argmax(logits, logits, false))]);
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

SampledToken choose_token(Sampler& sampler, Span<const float> logits, int n_top) {
  SampledToken token{};
  try {
    token.id = sampler.sample(logits);
    if (n_top != kNoLogprobs) token.logprobs = log_probabilities(logits, token.id, static_cast<size_t>(n_top));
  } catch (...) {
    token.error = std::current_exception();
  }
  return token;
}

Sampler::Sampler(SamplingOptions options, const KernelTable& kernels)
    : options_(std::move(options)), kernels_(&kernels), random_state_(options_.seed) {}

void Sampler::accept(Span<const int32_t> ids) {
  for (const int32_t id : ids) ++counts_[id];
}

void Sampler::resume(Span<const int32_t> ids) {
  accept(ids);
  if (options_.temperature == 0.0f) return;
  for (size_t i = 0; i < ids.size(); ++i) uniform();
}

void Sampler::allow(Span<const uint32_t> words) {
  allowed_.assign(words.begin(), words.end());
  restricted_ = true;
}

int32_t Sampler::sample(Span<const float> logits) {
  const Span<const float> scores = adjusted(logits);
  int32_t id;
  if (options_.temperature == 0.0f) {
    id = argmax(logits, scores, restricted_);
  } else {
    collect_candidates(logits, scores);
    id = draw();
  }
  ++counts_[id];
  restricted_ = false;
  return id;
}

// Fills scratch_ with the logits that are allowed, and -inf in place of the others.
void Sampler::keep_allowed(Span<const float> logits) {
  constexpr size_t kBits = 32;
  scratch_.resize(logits.size());
  for (size_t first = 0; first < logits.size(); first += kBits) {
    const size_t n = std::min(kBits, logits.size() - first), word = first / kBits;
    const uint32_t bits = word < allowed_.size() ? allowed_[word] : 0;
    const float* from = logits.data() + first;
    float* to = scratch_.data() + first;
    if (bits == 0) {
      std::fill(to, to + n, kBanned);
    } else if (bits == ~uint32_t{0}) {
      std::copy(from, from + n, to);
    } else {
      for (size_t i = 0; i < n; ++i) {  // without branches, which nothing could foretell
        const uint32_t kept = uint32_t{0} - (bits >> i & 1u);
        uint32_t value;
        std::memcpy(&value, from + i, sizeof(value));
        value = (value & kept) | (kMinusInfinityBits & ~kept);
        std::memcpy(to + i, &value, sizeof(value));
      }
    }
  }
}

bool Sampler::adjusts_logits() const noexcept {
  return restricted_ || options_.repetition_penalty != 1.0f || options_.presence_penalty != 0.0f ||
         options_.frequency_penalty != 0.0f || !options_.logit_bias.empty() || !options_.banned.empty();
}

Span<const float> Sampler::adjusted(Span<const float> logits) {
  if (!adjusts_logits()) return logits;
  if (restricted_) {
    keep_allowed(logits);
  } else {
    scratch_.assign(logits.begin(), logits.end());
  }
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

// A logit that at least top_k logits reach: as many blocks have a maximum no smaller. -inf when all must be looked at.
float Sampler::bound_of_top_k(Span<const float> logits) {
  const size_t k = static_cast<size_t>(options_.top_k), n_blocks = (logits.size() + kBlock - 1) / kBlock;
  if (k == 0 || k >= n_blocks) return kBanned;
  block_maxima_.resize(n_blocks);
  for (size_t b = 0; b < n_blocks; ++b) {
    const size_t first = b * kBlock;
    block_maxima_[b] = largest(logits.data() + first, std::min(kBlock, logits.size() - first));
  }
  sorted_maxima_ = block_maxima_;
  const auto kth = sorted_maxima_.begin() + static_cast<std::ptrdiff_t>(k) - 1;
  std::nth_element(sorted_maxima_.begin(), kth, sorted_maxima_.end(), std::greater<>());
  return *kth - 1e-6f * std::fabs(*kth);  // dividing by the temperature may make neighbours equal
}

// Fills candidates_, highest first as far as top-k, top-p and min-p need the order, and weights_.
void Sampler::collect_candidates(Span<const float> logits, Span<const float> scores) {
  const auto before = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  };
  candidates_.clear();
  const float bound = bound_of_top_k(scores);
  // What a tiny temperature divides is the distance from the best: the result is the argmax, as it should be.
  const float shift =
      options_.temperature < kTinyTemperature ? scores[static_cast<size_t>(argmax(logits, scores, restricted_))] : 0.0f;
  for (size_t first = 0; first < scores.size(); first += kBlock) {
    if (bound > kBanned && block_maxima_[first / kBlock] < bound) continue;
    for (size_t i = first; i < std::min(first + kBlock, scores.size()); ++i) {
      if (!(scores[i] > kBanned && scores[i] >= bound)) continue;
      const float value = (scores[i] - shift) / options_.temperature;
      if (value > kBanned) candidates_.push_back({value, static_cast<int32_t>(i)});
    }
  }
  if (candidates_.empty()) argmax(logits, scores, restricted_);  // throws

  const size_t k = static_cast<size_t>(options_.top_k);
  if (k > 0 && k < candidates_.size()) {  // ties with the k-th stay, as in Hugging Face's warper
    std::nth_element(candidates_.begin(), candidates_.begin() + static_cast<std::ptrdiff_t>(k) - 1, candidates_.end(),
                     before);
    const float threshold = candidates_[k - 1].logit;
    const auto end = std::partition(candidates_.begin(), candidates_.end(),
                                    [&](const Candidate& candidate) { return candidate.logit >= threshold; });
    candidates_.erase(end, candidates_.end());
  }
  const float total = weigh(logits, scores);
  if (options_.top_p < 1.0f) {
    keep_nucleus(static_cast<double>(total));
    weigh(logits, scores);
  }
  for (float& weight : weights_) {
    if (weight < options_.min_p) weight = 0.0f;  // the highest weighs 1
  }
}

// weights_ = exp(candidate - highest); returns their sum.
float Sampler::weigh(Span<const float> logits, Span<const float> scores) {
  weights_.resize(candidates_.size());
  for (size_t i = 0; i < candidates_.size(); ++i) weights_[i] = candidates_[i].logit;
  const float highest = largest(weights_.data(), weights_.size());
  if (!std::isfinite(highest)) {
    argmax(logits, scores, restricted_);  // throws unless the scores are finite
    throw std::invalid_argument("temperature: a logit divided by " + std::to_string(options_.temperature) +
                                " is infinite: use 0 or a larger one");
  }
  return kernels_->exp_and_sum(weights_.data(), weights_.size(), highest);
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
  for (const float weight : weights_) total += static_cast<double>(weight);
  const double target = uniform() * total;
  double sum = 0.0;
  size_t last = 0;
  for (size_t i = 0; i < weights_.size(); ++i) {
    if (weights_[i] == 0.0f) continue;
    sum += static_cast<double>(weights_[i]);
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
