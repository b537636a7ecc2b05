// Scores of given tokens: a pass whose logits nobody else sees.
#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "core/error.h"
#include "engine/engine.h"

namespace belle {
namespace {

constexpr size_t kLogitsBytes = size_t{1} << 26;

void check_scored(const BatchEntry& entry, ScoredTokens asked, size_t n_vocab) {
  uint32_t least = 0;
  for (const TokenOfRow& token : asked) {
    if (token.row < least || token.row >= entry.tokens.size()) {
      throw std::invalid_argument("scores: expected ascending places from 0 to " +
                                  std::to_string(entry.tokens.size() - 1));
    }
    if (token.id < 0 || static_cast<size_t>(token.id) >= n_vocab) {
      throw std::invalid_argument("token id " + std::to_string(token.id) + " is outside the vocabulary of " +
                                  std::to_string(n_vocab));
    }
    least = token.row;
  }
}

}  // namespace

std::vector<TokenScore> Engine::forward_scores(Span<const BatchEntry> batch, Span<const ScoredTokens> asked,
                                               const InterruptCheck& check) {
  pool_.require_same_process();
  const std::lock_guard<std::mutex> lock(mutex_);
  const OperationTimer timer(context_.profile, Operation::kOther);
  validate(batch);
  const std::vector<TokenOfRow> tokens = collect_scored(batch, asked);
  std::vector<TokenScore> scores(tokens.size());
  const size_t n_most = std::max<size_t>(1, kLogitsBytes / (vocab_size() * sizeof(float)));
  const size_t n_rows = std::min({n_most, kMaxPassRows, std::max<size_t>(1, logit_rows_.size())});
  sample_logits_.resize(std::max(sample_logits_.size(), n_rows * vocab_size()));
  size_t done = 0;  // of the tokens
  std::vector<TokenOfRow> of_piece;
  const LogitPieces pieces{n_rows, [&](size_t first, size_t n, float* logits) {
                             of_piece.clear();
                             for (size_t i = done; i < tokens.size() && tokens[i].row < first + n; ++i) {
                               of_piece.push_back({tokens[i].row - static_cast<uint32_t>(first), tokens[i].id});
                             }
                             score_tokens(context_, logits, vocab_size(), of_piece, scores.data() + done);
                             done += of_piece.size();
                           }};
  run(batch, check, sample_logits_.data(), &pieces);
  const auto is_wrong = [](const TokenScore& score) { return std::isnan(score.log_probability); };
  if (std::any_of(scores.begin(), scores.end(), is_wrong)) {
    throw ModelFormatError(
        "no finite logit to choose from: if the model computed these, its weights are damaged (download or convert the "
        "file again), or a float16 cache cannot hold its numbers (load it with kv='f32')");
  }
  commit(batch);
  return scores;
}

// The rows of the pass, of which those that are asked for get logits. Returns what is asked for, each row as its place
// among these.
std::vector<TokenOfRow> Engine::collect_scored(Span<const BatchEntry> batch, Span<const ScoredTokens> asked) {
  collect_rows(batch, LogitsMode::kNone);
  std::vector<TokenOfRow> tokens;
  uint32_t begin = 0;  // of the entry's rows in the pass
  for (size_t i = 0; i < batch.size(); ++i) {
    check_scored(batch[i], asked[i], vocab_size());
    for (const TokenOfRow& token : asked[i]) {
      const uint32_t row = begin + token.row;
      if (logit_rows_.empty() || logit_rows_.back() != row) logit_rows_.push_back(row);
      tokens.push_back({static_cast<uint32_t>(logit_rows_.size() - 1), token.id});
    }
    begin += static_cast<uint32_t>(batch[i].tokens.size());
  }
  return tokens;
}

}  // namespace belle
