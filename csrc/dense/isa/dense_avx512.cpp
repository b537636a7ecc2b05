// Dense kernels in the registers of AVX-512: 32 of 16 floats.
#include <immintrin.h>

#include "dense/isa/transpose_avx2.h"
#include "dense/kernel_set.h"

namespace belle {
namespace {

struct Floats {
  static constexpr size_t kLanes = 16;
  __m512 v;

  static Floats load(const float* from) noexcept { return {_mm512_loadu_ps(from)}; }
  static Floats all(float x) noexcept { return {_mm512_set1_ps(x)}; }
  void store(float* to) const noexcept { _mm512_storeu_ps(to, v); }
};

inline Floats fused(Floats a, Floats b, Floats c) noexcept { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }

void widen_f16(const uint16_t* x, size_t n, float* out) noexcept {
  size_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x + i));
    _mm512_storeu_ps(out + i, _mm512_maskz_cvtph_ps(0xffff, halves));
  }
  for (; i < n; ++i) out[i] = half_to_float(x[i]);
}

// 28 sums, 2 vectors of the right side, 1 of the left
constexpr size_t kRows = 14, kVectors = 2, kColumns = kVectors * Floats::kLanes;

constexpr DenseKernels kKernels =
    dense_kernels<Floats, kRows, kVectors>("avx512", transpose_squares<kColumns>, widen_f16);

}  // namespace

const DenseKernels* dense_avx512() noexcept { return &kKernels; }

}  // namespace belle
