#include "wide_products.h"

#include <cmath>
#include <limits>

namespace belle_test {

using belle::kPanelRows;
using belle::kWidePanels;
using belle::WeightType;

void multiply(const Form& form, WeightType type, const uint8_t* panels, size_t n_rows, size_t k, const Packed& packed,
              size_t n_tokens, float* y, size_t y_stride) {
  Guarded<uint8_t> scratch(form.kernels->scratch_bytes);
  std::memset(scratch.data(), 0xff, scratch.size());  // as floats: NaN
  form.kernels->matmul[static_cast<size_t>(type)](
      {panels, n_rows, k, packed.bytes.data(), n_tokens, y, y_stride, scratch.data(), packed.outliers});
}

Exact exact_dot(const GgufMatrix& matrix, size_t row, const float* x) {
  // Several sums at once: most of these tests' time is spent here, and one sum waits for itself.
  constexpr size_t kSums = 4;
  const double* weights = matrix.weights.data() + row * matrix.k;
  double values[kSums] = {}, squares[kSums] = {};
  size_t col = 0;
  for (; col + kSums <= matrix.k; col += kSums) {
    for (size_t i = 0; i < kSums; ++i) {
      const double product = weights[col + i] * x[col + i];
      values[i] += product;
      squares[i] += product * product;
    }
  }
  for (; col < matrix.k; ++col) {
    const double product = weights[col] * x[col];
    values[0] += product;
    squares[0] += product * product;
  }
  return {values[0] + values[1] + values[2] + values[3], std::sqrt(squares[0] + squares[1] + squares[2] + squares[3])};
}

void check_values(const Form& form, const GgufMatrix& matrix, const Guarded<float>& x, size_t n_tokens,
                  const Guarded<float>& y, size_t y_stride, double rms_bound, Checks& checks) {
  double squares = 0.0, worst = 0.0;
  size_t n = 0;
  for (size_t t = 0; t < n_tokens; ++t) {
    for (size_t row = 0; row < matrix.n_rows; ++row) {
      const Exact exact = exact_dot(matrix, row, x.data() + t * matrix.k);
      const double error = std::fabs(y[t * y_stride + row] - exact.value);
      if (exact.norm == 0.0) {
        worst = error == 0.0 ? worst : std::numeric_limits<double>::infinity();
        continue;
      }
      const double relative = error / exact.norm;
      worst = relative <= worst ? worst : relative;  // NaN wins
      squares += relative * relative;
      ++n;
    }
  }
  const double rms = n > 0 ? std::sqrt(squares / static_cast<double>(n)) : 0.0;
  // Few outputs may lie together on one side of the mean.
  const double bound = n < 500 ? 1.5 * rms_bound : rms_bound;
  checks.that(rms < bound && worst < Form::kWorst * rms_bound,
              "wide %s %s rows=%zu k=%zu tokens=%zu: RMS error %.4g, worst %.4g", form.name,
              belle::traits_of(matrix.type).name, matrix.n_rows, matrix.k, n_tokens, rms, worst);
}

void check_invariance(const Form& form, const GgufMatrix& matrix, const Guarded<uint8_t>& image,
                      const Guarded<float>& x, size_t n_tokens, const Guarded<float>& y, size_t y_stride,
                      const Guarded<uint32_t>& outliers, Checks& checks) {
  const size_t k = matrix.k, share = kWidePanels * kPanelRows;
  const size_t panel_bytes = belle::panel_bytes(matrix.type, k);
  bool same = true;
  for (size_t first : {size_t{0}, n_tokens / 3, n_tokens - 1}) {
    const size_t n = n_tokens / 2 < n_tokens - first ? n_tokens / 2 + 1 : n_tokens - first;
    const Packed activations(form, x.data() + first * k, n, k, outliers);
    for (size_t row = 0; row < matrix.n_rows; row += share) {
      const size_t rows = matrix.n_rows - row < share ? matrix.n_rows - row : share;
      Guarded<float> alone(n * rows);
      multiply(form, matrix.type, image.data() + row / kPanelRows * panel_bytes, rows, k, activations, n, alone.data(),
               rows);
      for (size_t t = 0; t < n; ++t) {
        same = same && same_bits(alone.data() + t * rows, y.data() + (first + t) * y_stride + row, rows);
      }
    }
  }
  checks.that(same, "wide %s %s rows=%zu k=%zu tokens=%zu: bits depend on the cut", form.name,
              belle::traits_of(matrix.type).name, matrix.n_rows, k, n_tokens);
}

}  // namespace belle_test
