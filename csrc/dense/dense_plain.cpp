// Dense kernels for every processor. One without fused multiply-add computes it in software, slowly and with its bits.
#include "dense/kernel_set.h"

namespace belle {
namespace {

struct Floats {
  static constexpr size_t kLanes = 4;
  float v[kLanes];

  static Floats load(const float* from) noexcept {
    Floats floats;
    std::memcpy(floats.v, from, sizeof floats.v);
    return floats;
  }
  static Floats all(float x) noexcept { return {{x, x, x, x}}; }
  void store(float* to) const noexcept { std::memcpy(to, v, sizeof v); }
};

inline Floats fused(const Floats& a, const Floats& b, const Floats& c) noexcept {
  Floats sum;
  BELLE_UNROLL
  for (size_t i = 0; i < Floats::kLanes; ++i) sum.v[i] = fused(a.v[i], b.v[i], c.v[i]);
  return sum;
}

void widen_f16(const uint16_t* x, size_t n, float* out) noexcept {
  for (size_t i = 0; i < n; ++i) out[i] = half_to_float(x[i]);
}

constexpr size_t kRows = 4, kVectors = 4, kColumns = kVectors * Floats::kLanes;

constexpr DenseKernels kKernels = dense_kernels<Floats, kRows, kVectors>("plain", transpose<kColumns>, widen_f16);

}  // namespace

const DenseKernels* dense_plain() noexcept { return &kKernels; }

}  // namespace belle
