// Numbers of 16 bits for the products on tiles: bfloat16, rounded to nearest even.
#pragma once

#include <stdint.h>
#include <string.h>

#include "kernels/avx2/intrinsics.h"
#include "kernels/avx512vnni/vector.h"

namespace belle {
namespace {

struct AmxProducts {
  /// [32 bf16]: low, then high
  static __m512i to_bf16(__m512 low, __m512 high) noexcept {
    const __m512bh rounded = _mm512_cvtne2ps_pbh(high, low);
    __m512i bits;
    memcpy(&bits, &rounded, sizeof bits);
    return bits;
  }

  /// Two columns of 16 rows -> [16 rows][2] bf16
  static __m512i column_pair(__m512 first, __m512 second) noexcept {
    alignas(64) static constexpr uint16_t kInterleaved[32] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                              21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                              11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_permutexvar_epi16(_mm512_load_si512(kInterleaved), to_bf16(first, second));
  }
};

}  // namespace
}  // namespace belle
