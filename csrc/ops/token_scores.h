// The probability of given tokens under rows of logits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/span.h"
#include "ops/context.h"

namespace belle {

/// A token and the row of logits that it is looked up in.
struct TokenOfRow {
  uint32_t row;
  int32_t id;
};

/// Under the softmax of a row, as it is. Not a number where the row has no finite maximum.
struct TokenScore {
  double log_probability;  // natural
  bool greedy;             // whether no token is more probable, and none of a lower id as probable
};

/// scores [tokens.size()] of `tokens`, whose rows ascend. What the rows of logits [*, n_vocab] hold is lost.
void score_tokens(const OpsContext& context, float* logits, size_t n_vocab, Span<const TokenOfRow> tokens,
                  TokenScore* scores);

}  // namespace belle
