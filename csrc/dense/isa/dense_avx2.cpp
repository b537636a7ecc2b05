// Dense kernels in the registers of AVX2: 16 of 8 floats.
#include <immintrin.h>

#include "dense/isa/transpose_avx2.h"
#include "dense/kernel_set.h"

namespace belle {
namespace {

struct Floats {
  static constexpr size_t kLanes = 8;
  __m256 v;

  static Floats load(const float* from) noexcept { return {_mm256_loadu_ps(from)}; }
  static Floats all(float x) noexcept { return {_mm256_set1_ps(x)}; }
  void store(float* to) const noexcept { _mm256_storeu_ps(to, v); }
};

inline Floats fused(Floats a, Floats b, Floats c) noexcept { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }

void widen_f16(const uint16_t* x, size_t n, float* out) noexcept {
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(x + i));
    _mm256_storeu_ps(out + i, _mm256_cvtph_ps(halves));
  }
  for (; i < n; ++i) out[i] = half_to_float(x[i]);
}

// 12 sums, 2 vectors of the right side, 1 of the left
constexpr size_t kRows = 6, kVectors = 2, kColumns = kVectors * Floats::kLanes;

constexpr DenseKernels kKernels =
    dense_kernels<Floats, kRows, kVectors>("avx2", transpose_squares<kColumns>, widen_f16);

}  // namespace

const DenseKernels* dense_avx2() noexcept { return &kKernels; }

}  // namespace belle
