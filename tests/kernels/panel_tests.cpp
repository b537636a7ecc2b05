// The panels hold what the GGUF rows hold: every row comes back exactly, rows past the end are zero.
#include <cmath>

#include "reference.h"

namespace belle_test {
namespace {

using belle::kPanelRows;
using belle::WeightType;

void round_trip(WeightType type, size_t n_rows, size_t k, Checks& checks) {
  Random random(n_rows * 1000 + k);
  const GgufMatrix matrix = random_matrix(type, n_rows, k, random);
  const Guarded<uint8_t> image(packed(matrix));
  const size_t panel_bytes = belle::panel_bytes(type, k);
  Guarded<float> row_values(k);
  for (size_t row = 0; row < belle::panel_count(n_rows) * kPanelRows; ++row) {
    belle::unpack_panel_row(type, image.data() + row / kPanelRows * panel_bytes, row % kPanelRows, k,
                            row_values.data());
    const bool has_minimum = belle::traits_of(type).quantized && codes_of(type).has_minimum;
    bool same = true;
    for (size_t col = 0; col < k; ++col) {
      const double expected = row < n_rows ? matrix.weights[row * k + col] : 0.0;
      // a minimum makes two rounded terms in float; the other types are exact
      const double size =
          std::fabs(expected) + (has_minimum && row < n_rows ? 2.0 * std::fabs(matrix.m[(row * k + col) / 32]) : 0.0);
      same = same && near(row_values[col], expected, has_minimum ? 2 * kFloatEps * size : 0.0);
    }
    checks.that(same, "unpack_panel_row %s row %zu of %zu, k=%zu", belle::traits_of(type).name, row, n_rows, k);
  }
}

}  // namespace

void test_panels(Checks& checks) {
  for (const CodeRange& range : kQuantizedTypes) {
    const WeightType type = range.type;
    for (size_t n_rows = 1; n_rows <= 40; ++n_rows) {
      for (size_t k : {32, 64, 96}) round_trip(type, n_rows, k, checks);
    }
  }
  for (WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kBf16}) {
    for (size_t n_rows : {1, 3, 15, 16, 17, 40}) {
      for (size_t k : {1, 2, 7, 31, 33, 172}) round_trip(type, n_rows, k, checks);
    }
  }
}

}  // namespace belle_test
