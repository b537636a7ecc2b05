// The packed weight layout: panels of 16 rows, the same for prefill and decode.
//
// A panel holds 16 consecutive rows of a [n_rows, k] matrix. Along k it is a sequence of units:
//   f32         unit = 1 column:   float  [16]
//   f16, bf16   unit = 1 column:   uint16 [16]
//   q4_0        unit = 32 columns: nibbles uint8 [4][16][4], then d half [16]            (288 bytes)
//               byte [j][r][b]: low nibble = code of column 4j+b, high nibble = code of column 16+4j+b
//   q4_1        as q4_0, then m half [16]                                                 (320 bytes)
//   q8_0        unit = 32 columns: codes int8 [8][16][4], then d half [16]                (544 bytes)
//               byte [g][r][b] = code of column 4g+b
// so one 64-byte load gives four neighbouring columns of all 16 rows, and 16 rows cost exactly the
// bytes that they cost in the GGUF file. Rows past n_rows in the last panel are zero codes with zero scales.
#pragma once

#include "quant/types.h"

namespace belle {

constexpr size_t kPanelRows = 16;

inline size_t panel_count(size_t n_rows) noexcept { return (n_rows + kPanelRows - 1) / kPanelRows; }

/// Bytes of one panel of rows of k weights.
inline size_t panel_bytes(WeightType type, size_t k) noexcept { return kPanelRows * row_bytes(traits_of(type), k); }

/// Packs one panel. `rows` points at the first of n_rows (1..16) GGUF rows, contiguous.
void pack_panel(WeightType type, const uint8_t* rows, size_t n_rows, size_t k, uint8_t* panel) noexcept;

/// Dequantizes row `row` (0..15) of a panel into out[k]: embedding lookups from the one copy of the weights.
void unpack_panel_row(WeightType type, const uint8_t* panel, size_t row, size_t k, float* out) noexcept;

/// The scales d of a row's blocks, out[k / 32]; quantized types only. Two neighbouring codes stand for weights d apart.
void unpack_panel_scales(WeightType type, const uint8_t* panel, size_t row, size_t k, float* out) noexcept;

}  // namespace belle
