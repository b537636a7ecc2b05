// The panels hold what the GGUF rows hold: every row comes back exactly, rows past the end are zero. With that, what
// else quant/ finds in blocks: scales that are not finite, and how coarse the weights are.
#include <cmath>

#include "quant/finite.h"
#include "quant/quantize.h"
#include "reference.h"

namespace belle_test {
namespace {

using belle::kPanelRows;
using belle::TypeTraits;
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
          std::fabs(expected) + (has_minimum && row < n_rows
                                     ? 2.0 * std::fabs(matrix.m[(row * k + col) / codes_of(type).scale_columns])
                                     : 0.0);
      same = same && near(row_values[col], expected, has_minimum ? 2 * kFloatEps * size : 0.0);
    }
    checks.that(same, "unpack_panel_row %s row %zu of %zu, k=%zu", belle::traits_of(type).name, row, n_rows, k);
  }
}

// Rows of random bytes, so that every code and every whole-number scale occurs; the halves are finite.
GgufMatrix random_blocks(const TypeTraits& traits, size_t n_rows, size_t k, Random& random) {
  GgufMatrix matrix;
  matrix.type = traits.type;
  matrix.n_rows = n_rows;
  matrix.k = k;
  matrix.bytes.resize(n_rows * belle::row_bytes(traits, k));
  for (uint8_t& byte : matrix.bytes) byte = static_cast<uint8_t>(random.bits() >> 8);
  for (size_t block = 0; block < matrix.bytes.size(); block += traits.block_bytes) {
    for (size_t s = 0; s < traits.n_scales; ++s) {
      const uint16_t scale = belle::float_to_half(random.uniform(-2.0f, 2.0f));
      std::memcpy(matrix.bytes.data() + block + traits.scale_offsets[s], &scale, sizeof scale);
    }
  }
  return matrix;
}

// Where d and then m of a panel's unit lie: they are its last bytes.
float half_of_unit(const TypeTraits& traits, const uint8_t* panel, size_t unit, size_t scale, size_t row) {
  const uint8_t* end = panel + (unit + 1) * belle::panel_bytes(traits.type, traits.block_size);
  uint16_t half;
  std::memcpy(&half, end - (traits.n_scales - scale) * kPanelRows * sizeof half + row * sizeof half, sizeof half);
  return belle::half_to_float(half);
}

void blocks_come_back(const TypeTraits& traits, size_t n_rows, size_t n_blocks, Checks& checks) {
  Random random(n_rows * 100 + n_blocks);
  const size_t k = n_blocks * traits.block_size, row_bytes = belle::row_bytes(traits, k);
  const GgufMatrix matrix = random_blocks(traits, n_rows, k, random);
  const Guarded<uint8_t> image(packed(matrix));
  Guarded<float> got(k);
  std::vector<float> expected(k);
  for (size_t row = 0; row < belle::panel_count(n_rows) * kPanelRows; ++row) {
    const uint8_t* panel = image.data() + row / kPanelRows * belle::panel_bytes(traits.type, k);
    belle::unpack_panel_row(traits.type, panel, row % kPanelRows, k, got.data());
    bool same = true;
    if (row < n_rows) {
      const uint8_t* bytes = matrix.bytes.data() + row * row_bytes;
      belle::dequantize_row(traits.type, bytes, k, expected.data());
      same = same_bits(got.data(), expected.data(), k);
    } else {
      for (size_t col = 0; col < k; ++col) same = same && got[col] == 0.0f;
      for (size_t s = 0; s < traits.n_scales; ++s) {
        same = same && half_of_unit(traits, panel, n_blocks - 1, s, row % kPanelRows) == 0.0f;
      }
    }
    checks.that(same, "%s row %zu of %zu, %zu blocks", traits.name, row, n_rows, n_blocks);
  }
}

// A NaN or an infinity in any half of the first, a middle or the last block.
void check_finite(const TypeTraits& traits, Checks& checks) {
  Random random(7);
  const size_t k = 5 * traits.block_size;
  const GgufMatrix matrix = random_blocks(traits, 1, k, random);
  checks.that(belle::all_finite(traits.type, matrix.bytes.data(), k), "%s: finite weights refused", traits.name);
  for (const size_t block : {0, 2, 4}) {
    for (size_t s = 0; s < traits.n_scales; ++s) {
      for (const uint16_t bad : {0x7c00, 0xfc00, 0x7e01, 0x7c01}) {
        Guarded<uint8_t> bytes(matrix.bytes);
        std::memcpy(bytes.data() + block * traits.block_bytes + traits.scale_offsets[s], &bad, sizeof bad);
        checks.that(!belle::all_finite(traits.type, bytes.data(), k), "%s: half %zu of block %zu is %#x", traits.name,
                    s, block, bad);
      }
    }
  }
}

// Blocks whose bytes are all alike, but for the halves, which are 1/4: so all scales and steps are the same. Three rows
// add up.
void check_variances(const TypeTraits& traits, uint8_t byte, double steps, Checks& checks) {
  const size_t k = 2 * traits.block_size;
  GgufMatrix matrix;
  matrix.type = traits.type;
  matrix.n_rows = 3;
  matrix.k = k;
  matrix.bytes.assign(3 * belle::row_bytes(traits, k), byte);
  const uint16_t d = belle::float_to_half(0.25f);
  for (size_t block = 0; block < matrix.bytes.size(); block += traits.block_bytes) {
    for (size_t s = 0; s < traits.n_scales; ++s) {
      std::memcpy(matrix.bytes.data() + block + traits.scale_offsets[s], &d, sizeof d);
    }
  }
  const std::vector<uint8_t> image = packed(matrix);
  std::vector<double> variances(k, 1.0);
  for (size_t row = 0; row < 4; ++row) {  // the fourth has no weights
    belle::add_rounding_variances(traits.type, image.data(), row, k, variances.data());
  }
  bool same = true;
  for (const double variance : variances) same = same && near(variance, 1.0 + 3 * 0.0625 * steps * steps / 12, 1e-6);
  checks.that(same, "%s: bytes of %#x: %g, expected steps of %g", traits.name, byte, variances[0], steps);
}

}  // namespace

void test_panels(Checks& checks) {
  for (const CodeRange& range : kQuantizedTypes) {
    const WeightType type = range.type;
    for (size_t n_rows = 1; n_rows <= 40; n_rows += range.unit_columns == 32 ? 1 : 5) {
      for (size_t n_units : {1, 2, 3}) round_trip(type, n_rows, n_units * range.unit_columns, checks);
    }
  }
  for (WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kBf16}) {
    for (size_t n_rows : {1, 3, 15, 16, 17, 40}) {
      for (size_t k : {1, 2, 7, 31, 33, 172}) round_trip(type, n_rows, k, checks);
    }
  }
  for (size_t i = 0; i < belle::kWeightTypeCount; ++i) {
    const TypeTraits& traits = belle::traits_of(static_cast<WeightType>(i));
    if (!traits.quantized) continue;
    for (size_t n_rows = 1; n_rows <= 20; ++n_rows) {
      for (size_t n_blocks : {1, 2, 5}) blocks_come_back(traits, n_rows, n_blocks, checks);
    }
    check_finite(traits, checks);
  }
  const auto variances = [&](WeightType type, uint8_t byte, double steps) {
    check_variances(belle::traits_of(type), byte, steps, checks);
  };
  variances(WeightType::kQ4_0, 0x3a, 1.0);
  variances(WeightType::kQ5_1, 0x3a, 1.0);
  variances(WeightType::kQ8_0, 0x7f, 1.0);
  variances(WeightType::kQ6_K, 0x05, 5.0);                     // every scale is 5
  variances(WeightType::kQ6_K, 0xfb, -5.0);                    // -5
  variances(WeightType::kQ2_K, 0x3b, 11.0);                    // scale 11, minimum 3
  variances(WeightType::kQ3_K, 0xaa, 0x2a - 32.0);             // scales of ten in the low and two in the upper bits
  variances(WeightType::kQ4_K, 0xaa, 0x2a);                    // the same
  variances(WeightType::kQ5_K, 0x55, 0x15);                    // and of five and one
  variances(WeightType::kIQ4_NL, 0x00, 23.0);                  // at the lower end: -127, -104
  variances(WeightType::kIQ4_NL, 0xff, 24.0);                  // at the upper one: 89, 113
  variances(WeightType::kIQ4_NL, 0x88, (13.0 - -10.0) / 2);    // -10, 1, 13
  variances(WeightType::kIQ4_XS, 0xaa, (0x2a - 32.0) * 12.5);  // scales of 42; 13, 25, 38
}

}  // namespace belle_test
