// Slow references in double, written from GGUF's formulas and not from the panel layout.
#pragma once

#include <algorithm>

#include "core/half.h"
#include "support.h"

namespace belle_test {

/// What a quantized type stores. A weight is (code - zero) * d, and plus m where there is a minimum; a code of the iq4
/// types is the index of a value that takes the place of (code - zero). The types of super-blocks have d and m as whole
/// numbers times halves of the unit: d = half * scale, m = -(half * minimum).
struct CodeRange {
  belle::WeightType type;
  int smallest, largest, zero;
  bool has_minimum;
  size_t unit_columns = 32, scale_columns = 32;
  int smallest_scale = 1, largest_scale = 1, largest_minimum = 0;

  bool whole_scales() const { return unit_columns > 32; }
  bool uneven() const;
  /// What a stored code stands for, before the scale.
  int value_of(int code) const;
};
extern const std::vector<CodeRange> kQuantizedTypes;
const CodeRange& codes_of(belle::WeightType type);

/// The scales of a [n_rows, k] matrix.
struct MatrixScales {
  std::vector<uint16_t> d, m;         // halves, [n_rows, k / unit_columns]
  std::vector<int> scales, minima{};  // whole numbers, [n_rows, k / scale_columns]; of super-blocks only
};

/// A [n_rows, k] matrix as a GGUF file holds it, with the codes and scales that its bytes stand for.
struct GgufMatrix {
  belle::WeightType type;
  size_t n_rows = 0, k = 0;
  std::vector<uint8_t> bytes;   // [n_rows, row_bytes]
  std::vector<int> codes;       // [n_rows, k], quantized types: what they stand for, before the scale
  std::vector<double> d, m;     // [n_rows, k / scale_columns], quantized types
  std::vector<double> weights;  // [n_rows, k], the exact values
};

GgufMatrix random_matrix(belle::WeightType type, size_t n_rows, size_t k, Random& random);
/// A quantized matrix with chosen stored codes and scales.
GgufMatrix matrix_of_codes(belle::WeightType type, size_t n_rows, size_t k, const std::vector<int>& stored_codes,
                           const MatrixScales& scales);
/// One of a type without whole numbers.
inline GgufMatrix matrix_of_codes(belle::WeightType type, size_t n_rows, size_t k, const std::vector<int>& stored_codes,
                                  const std::vector<uint16_t>& d, const std::vector<uint16_t>& m) {
  return matrix_of_codes(type, n_rows, k, stored_codes, MatrixScales{d, m, {}, {}});
}

/// One block of a file: its stored codes and whole numbers, and the halves d and m.
struct StoredBlock {
  const int* codes;  // [block size]
  const int *scales, *minima;
  uint16_t d, m;
};
/// Written bit by bit from GGUF's layouts (gguf_blocks.cpp).
std::vector<uint8_t> gguf_block(belle::WeightType type, const StoredBlock& block);

/// Where block `block` of token `token` lies among those of [n_tokens, n_blocks]: the tokens in groups of 16, a group's
/// blocks one after the other, each as the tokens of the group side by side.
inline size_t block_index(size_t n_tokens, size_t n_blocks, size_t token, size_t block) {
  const size_t group = token / 16, n_in_group = std::min<size_t>(16, n_tokens - group * 16);
  return group * 16 * n_blocks + block * n_in_group + token % 16;
}

/// The packed image, [panel_count, panel_bytes].
std::vector<uint8_t> packed(const GgufMatrix& matrix);

}  // namespace belle_test
