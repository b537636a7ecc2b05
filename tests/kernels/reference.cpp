#include "reference.h"

#include <cmath>

namespace belle_test {
namespace {

using belle::WeightType;

// From the definition of binary16, independent of half.h.
double half_value(uint16_t half) {
  const int exponent = (half >> 10) & 0x1f, mantissa = half & 0x3ff;
  const double sign = half & 0x8000 ? -1.0 : 1.0;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

// Normal scales mostly, then the rare ones: zero, the smallest subnormal, other subnormals, the largest.
uint16_t random_scale(Random& random) {
  constexpr uint16_t kRare[] = {0x0000, 0x0001, 0x8001, 0x03ff, 0x0155, 0x7bff, 0xfbff};
  if (random.below(8) == 0) return kRare[random.below(7)];
  return belle::float_to_half(random.uniform(-2.0f, 2.0f));
}

template <class T>
void put_raw(std::vector<uint8_t>& bytes, T value) {
  uint8_t raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  bytes.insert(bytes.end(), raw, raw + sizeof value);
}

GgufMatrix random_float_matrix(WeightType type, size_t n_rows, size_t k, Random& random) {
  GgufMatrix matrix;
  matrix.type = type;
  matrix.n_rows = n_rows;
  matrix.k = k;
  for (size_t i = 0; i < n_rows * k; ++i) {
    const float value = random.uniform(-1.0f, 1.0f) * (random.below(16) == 0 ? 1e-6f : 1.0f);  // f16 subnormals too
    if (type == WeightType::kF32) {
      put_raw(matrix.bytes, value);
      matrix.weights.push_back(value);
    } else if (type == WeightType::kF16) {
      put_raw(matrix.bytes, belle::float_to_half(value));
      matrix.weights.push_back(half_value(belle::float_to_half(value)));
    } else {
      const uint16_t bits = belle::float_to_bf16(value);
      put_raw(matrix.bytes, bits);
      matrix.weights.push_back(belle::bits_to_float(static_cast<uint32_t>(bits) << 16));
    }
  }
  return matrix;
}

}  // namespace

bool CodeRange::uneven() const { return type == WeightType::kIQ4_NL || type == WeightType::kIQ4_XS; }

int CodeRange::value_of(int code) const {
  constexpr int kUneven[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
  return uneven() ? kUneven[code] : code - zero;
}

const std::vector<CodeRange> kQuantizedTypes = {
    {WeightType::kQ4_0, 0, 15, 8, false},
    {WeightType::kQ4_1, 0, 15, 0, true},
    {WeightType::kQ8_0, -128, 127, 0, false},
    {WeightType::kQ5_0, 0, 31, 16, false},
    {WeightType::kQ5_1, 0, 31, 0, true},
    {WeightType::kQ2_K, 0, 3, 0, true, 256, 16, 0, 15, 15},
    {WeightType::kQ3_K, 0, 7, 4, false, 256, 16, -32, 31},
    {WeightType::kQ4_K, 0, 15, 0, true, 256, 32, 0, 63, 63},
    {WeightType::kQ5_K, 0, 31, 0, true, 256, 32, 0, 63, 63},
    {WeightType::kQ6_K, 0, 63, 32, false, 256, 16, -128, 127},
    {WeightType::kIQ4_NL, 0, 15, 0, false},
    {WeightType::kIQ4_XS, 0, 15, 0, false, 256, 32, -32, 31},
};

const CodeRange& codes_of(WeightType type) {
  return *std::find_if(kQuantizedTypes.begin(), kQuantizedTypes.end(),
                       [type](const CodeRange& range) { return range.type == type; });
}

GgufMatrix matrix_of_codes(WeightType type, size_t n_rows, size_t k, const std::vector<int>& stored_codes,
                           const MatrixScales& scales) {
  GgufMatrix matrix;
  matrix.type = type;
  matrix.n_rows = n_rows;
  matrix.k = k;
  const CodeRange& range = codes_of(type);
  const size_t n_parts = range.unit_columns / range.scale_columns;
  for (size_t unit = 0; unit < n_rows * k / range.unit_columns; ++unit) {
    const bool whole = range.whole_scales();
    const int* whole_d = whole ? scales.scales.data() + unit * n_parts : nullptr;
    const int* whole_m = whole && range.has_minimum ? scales.minima.data() + unit * n_parts : nullptr;
    const StoredBlock block{stored_codes.data() + unit * range.unit_columns, whole_d, whole_m, scales.d[unit],
                            range.has_minimum ? scales.m[unit] : uint16_t{0}};
    const std::vector<uint8_t> bytes = gguf_block(type, block);
    matrix.bytes.insert(matrix.bytes.end(), bytes.begin(), bytes.end());
    for (size_t part = 0; part < n_parts; ++part) {
      const double d = half_value(block.d) * (whole ? whole_d[part] : 1);
      const double m = half_value(block.m) * (whole_m != nullptr ? -whole_m[part] : 1);
      matrix.d.push_back(d);
      matrix.m.push_back(m);
      for (size_t i = 0; i < range.scale_columns; ++i) {
        matrix.codes.push_back(range.value_of(block.codes[part * range.scale_columns + i]));
        matrix.weights.push_back(matrix.codes.back() * d + m);
      }
    }
  }
  return matrix;
}

GgufMatrix random_matrix(WeightType type, size_t n_rows, size_t k, Random& random) {
  if (!belle::traits_of(type).quantized) return random_float_matrix(type, n_rows, k, random);
  const CodeRange& range = codes_of(type);
  std::vector<int> codes(n_rows * k);
  for (int& code : codes) {
    const int bits = static_cast<int>(random.bits() >> 8);
    code = range.smallest + bits % (range.largest - range.smallest + 1);
  }
  MatrixScales scales;
  scales.d.resize(n_rows * k / range.unit_columns);
  scales.m.resize(scales.d.size());
  for (uint16_t& d : scales.d) d = random_scale(random);
  for (uint16_t& m : scales.m) m = random_scale(random);
  if (range.whole_scales()) {
    scales.scales.resize(n_rows * k / range.scale_columns);
    scales.minima.resize(scales.scales.size());
    const uint32_t n_scales = static_cast<uint32_t>(range.largest_scale - range.smallest_scale + 1);
    for (int& scale : scales.scales) scale = range.smallest_scale + static_cast<int>(random.below(n_scales));
    for (int& m : scales.minima) m = static_cast<int>(random.below(static_cast<uint32_t>(range.largest_minimum) + 1));
  }
  return matrix_of_codes(type, n_rows, k, codes, scales);
}

std::vector<uint8_t> packed(const GgufMatrix& matrix) {
  const size_t panel_bytes = belle::panel_bytes(matrix.type, matrix.k);
  const size_t row_bytes = belle::row_bytes(belle::traits_of(matrix.type), matrix.k);
  std::vector<uint8_t> image(belle::panel_count(matrix.n_rows) * panel_bytes, 0xaa);
  for (size_t row = 0; row < matrix.n_rows; row += belle::kPanelRows) {
    const size_t n = matrix.n_rows - row < belle::kPanelRows ? matrix.n_rows - row : belle::kPanelRows;
    const uint8_t* first = matrix.bytes.data() + row * row_bytes;
    const Guarded<uint8_t> rows(std::vector<uint8_t>(first, first + n * row_bytes));
    belle::pack_panel(matrix.type, rows.data(), n, matrix.k, image.data() + row / belle::kPanelRows * panel_bytes);
  }
  return image;
}

}  // namespace belle_test
