#include "ops/token_scores.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace belle {
namespace {

constexpr size_t kBlock = 1024;  // probabilities that are summed in float

// log(sum over v of exp(logits[v] - shift)); the logits are lost.
double log_sum_exp(const KernelTable& kernels, float* logits, size_t n_vocab, float shift) {
  double total = 0;
  for (size_t first = 0; first < n_vocab; first += kBlock) {
    total += static_cast<double>(kernels.exp_and_sum(logits + first, std::min(kBlock, n_vocab - first), shift));
  }
  return std::log(total);
}

// All tokens [begin, end) of one row of logits [n_vocab].
void score_row(const KernelTable& kernels, float* logits, size_t n_vocab, Span<const TokenOfRow> tokens,
               TokenScore* scores) {
  const float* const best = std::max_element(logits, logits + n_vocab);
  const float highest = *best;
  for (size_t i = 0; i < tokens.size(); ++i) {
    const float* const logit = logits + tokens[i].id;
    scores[i] = {static_cast<double>(*logit) - static_cast<double>(highest), logit == best};
  }
  const double log_total = log_sum_exp(kernels, logits, n_vocab, highest);
  for (size_t i = 0; i < tokens.size(); ++i) scores[i].log_probability -= log_total;
}

}  // namespace

void score_tokens(const OpsContext& context, float* logits, size_t n_vocab, Span<const TokenOfRow> tokens,
                  TokenScore* scores) {
  std::vector<size_t> begins;  // of the tokens of each row that has some
  for (size_t i = 0; i < tokens.size(); ++i) {
    if (i == 0 || tokens[i].row != tokens[i - 1].row) begins.push_back(i);
  }
  const size_t n_rows = begins.size();
  begins.push_back(tokens.size());
  const OperationTimer timer(context.profile, Operation::kSampling);
  context.pool.parallel_for(n_rows, [&](size_t first, size_t last) {
    for (size_t row = first; row < last; ++row) {
      const size_t begin = begins[row];
      score_row(context.kernels, logits + tokens[begin].row * n_vocab, n_vocab,
                {tokens.data() + begin, begins[row + 1] - begin}, scores + begin);
    }
  });
}

}  // namespace belle
