// Floats of neighbouring rows side by side: the arithmetic of error feedback, one register wide.
//
// Every operation rounds as the single one does, so all builds compute the same bits. Everything here is in the file's
// anonymous namespace: an object compiled for an instruction set leaves no symbol of it.
#pragma once

#if defined(__AVX512F__)
#include "rounding/isa/row_lanes_avx512.h"
#elif defined(__AVX2__)
#include "rounding/isa/row_lanes_avx2.h"
#else
#include "rounding/isa/row_lanes_plain.h"
#endif

namespace belle {
namespace {

/// Not a number becomes `high`.
inline RowLanes limit(RowLanes a, RowLanes low, RowLanes high) noexcept { return larger(smaller(a, high), low); }

/// To the nearest whole number, ties to even; |a| is below 2^22.
inline RowLanes round_even(RowLanes a) noexcept {
  const RowLanes magic(12582912.0f);  // 1.5 * 2^23, where floats are whole numbers
  return (a + magic) - magic;
}

}  // namespace
}  // namespace belle
