// The packed weight layout: panels of 16 rows, the same for prefill and decode.
//
// A panel holds 16 consecutive rows of a [n_rows, k] matrix. Along k it is a sequence of units:
//   f32         unit = 1 column:   float  [16]
//   f16, bf16   unit = 1 column:   uint16 [16]
// The other types' codes lie in planes, one for each 32 columns; a plane has a word of 4 bytes [b] for each row [r]:
//   byte plane     512 bytes: byte [g < 8][r][b] is the code of column 4g + b
//   nibble plane   256 bytes: byte [j < 4][r][b], low nibble column 4j + b, high nibble column 16 + 4j + b
//   pair plane     128 bytes: byte [h < 2][r][b], bits 2j and 2j + 1 column 16h + 4j + b
//   bit plane       64 bytes: byte [r][b], bit g column 4g + b
// A unit is its planes, then its whole-number scales, then d half [16], then m (of k-types: dmin) half [16]:
//   type     columns  bytes  planes of 32 columns             scales  halves  weight
//   q4_0          32    288  nibble                           -       d       (code - 8) d
//   q4_1          32    320  nibble                           -       d m     code d + m
//   q5_0          32    352  nibble: low 4 bits; bit          -       d       (code - 16) d
//   q5_1          32    384  nibble: low 4 bits; bit          -       d m     code d + m
//   q8_0          32    544  byte                             -       d       code d
//   iq4_nl        32    288  nibble                           -       d       kIQ4Values[code] d
//   q4_k         256   2304  nibble                           K6      d dmin  code (d scale) - dmin minimum
//   q5_k         256   2816  nibble: low 4 bits; bit          K6      d dmin  code (d scale) - dmin minimum
//   iq4_xs       256   2176  nibble                           X6      d       kIQ4Values[code] (d (scale - 32))
//   q6_k         256   3360  nibble: low 4 bits; pair         B16     d       (code - 32) (d scale)
//   q3_k         256   1760  pair: low 2 bits; bit            T6      d       (code - 4) (d (scale - 32))
//   q2_k         256   1344  pair                             N16     d dmin  code (d scale) - dmin minimum
// Scale areas, all of bytes [16 rows]; "low" is the low four bits of a scale of six, "high" its upper two:
//   K6  of 8 blocks of 32: [s < 8] low nibble: low of scale s, high nibble: low of minimum s; then [p < 4] bits 0-1:
//       high of scale p, 2-3: of minimum p, 4-5: of scale p + 4, 6-7: of minimum p + 4
//   X6  of 8 blocks of 32: [p < 4] low nibble: low of scale p, high nibble: of scale p + 4; then [p < 2] bits 2j and
//       2j + 1: high of scale p + 2j
//   T6  of 16 blocks of 16: [p < 8] low nibble: low of scale p, high nibble: of scale p + 8; then [p < 4] bits 2j and
//       2j + 1: high of scale p + 4j
//   B16 of 16 blocks of 16: [s < 16] int8 scale s
//   N16 of 16 blocks of 16: [s < 16] low nibble: scale s, high nibble: minimum s
//
// So one 64-byte load gives codes of neighbouring columns of all 16 rows, and 16 rows cost exactly the bytes that they
// cost in the GGUF file. Rows past n_rows in the last panel are zero bytes; their weights are 0.
#pragma once

#include "quant/types.h"

namespace belle {

constexpr size_t kPanelRows = 16;

inline size_t panel_count(size_t n_rows) noexcept { return (n_rows + kPanelRows - 1) / kPanelRows; }

/// Bytes of one panel of rows of k weights.
inline size_t panel_bytes(WeightType type, size_t k) noexcept { return kPanelRows * row_bytes(traits_of(type), k); }

/// Packs one panel. `rows` points at the first of n_rows (1..16) GGUF rows, contiguous.
void pack_panel(WeightType type, const uint8_t* rows, size_t n_rows, size_t k, uint8_t* panel) noexcept;

/// Dequantizes row `row` (0..15) of a panel into out[k], with the bits of dequantize_row: embedding lookups from the
/// one copy of the weights.
void unpack_panel_row(WeightType type, const uint8_t* panel, size_t row, size_t k, float* out) noexcept;

/// Adds to variances[k] what rounding has cost each weight of a row on average: step^2 / 12, where two neighbouring
/// codes stand for weights a step apart. Where codes are uneven, the step is the range that became this one. Quantized
/// types only.
void add_rounding_variances(WeightType type, const uint8_t* panel, size_t row, size_t k, double* variances) noexcept;

}  // namespace belle
