// Slow references in double, written from GGUF's formulas and not from the panel layout.
#pragma once

#include <algorithm>

#include "core/half.h"
#include "support.h"

namespace belle_test {

/// The stored codes of a quantized type: a weight is (code - zero) * d, and plus m where there is a minimum.
struct CodeRange {
  belle::WeightType type;
  int smallest, largest, zero;
  bool has_minimum;
};
extern const std::vector<CodeRange> kQuantizedTypes;
const CodeRange& codes_of(belle::WeightType type);

/// A [n_rows, k] matrix as a GGUF file holds it, with the codes and scales that its bytes stand for.
struct GgufMatrix {
  belle::WeightType type;
  size_t n_rows = 0, k = 0;
  std::vector<uint8_t> bytes;   // [n_rows, row_bytes]
  std::vector<int> codes;       // [n_rows, k], quantized types; less the one whose weight is zero
  std::vector<double> d, m;     // [n_rows, k / 32], quantized types
  std::vector<double> weights;  // [n_rows, k], the exact values
};

GgufMatrix random_matrix(belle::WeightType type, size_t n_rows, size_t k, Random& random);
/// A quantized matrix with chosen stored codes and scales.
GgufMatrix matrix_of_codes(belle::WeightType type, size_t n_rows, size_t k, const std::vector<int>& stored_codes,
                           const std::vector<uint16_t>& d, const std::vector<uint16_t>& m);

/// Where block `block` of token `token` lies among those of [n_tokens, n_blocks]: the tokens in groups of 16, a group's
/// blocks one after the other, each as the tokens of the group side by side.
inline size_t block_index(size_t n_tokens, size_t n_blocks, size_t token, size_t block) {
  const size_t group = token / 16, n_in_group = std::min<size_t>(16, n_tokens - group * 16);
  return group * 16 * n_blocks + block * n_in_group + token % 16;
}

/// The packed image, [panel_count, panel_bytes].
std::vector<uint8_t> packed(const GgufMatrix& matrix);

}  // namespace belle_test
