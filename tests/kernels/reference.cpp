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

void put_half(std::vector<uint8_t>& bytes, uint16_t half) {
  bytes.push_back(static_cast<uint8_t>(half & 0xff));
  bytes.push_back(static_cast<uint8_t>(half >> 8));
}

template <class T>
void put_raw(std::vector<uint8_t>& bytes, T value) {
  uint8_t raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  bytes.insert(bytes.end(), raw, raw + sizeof value);
}

void put_codes(std::vector<uint8_t>& bytes, WeightType type, const int* codes) {
  if (type == WeightType::kQ8_0) {
    for (size_t i = 0; i < 32; ++i) bytes.push_back(static_cast<uint8_t>(codes[i]));
    return;
  }
  for (size_t i = 0; i < 16; ++i) bytes.push_back(static_cast<uint8_t>(codes[i] | (codes[i + 16] << 4)));
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

const std::vector<CodeRange> kQuantizedTypes = {
    {WeightType::kQ4_0, 0, 15, 8, false},
    {WeightType::kQ4_1, 0, 15, 0, true},
    {WeightType::kQ8_0, -128, 127, 0, false},
};

const CodeRange& codes_of(WeightType type) {
  return *std::find_if(kQuantizedTypes.begin(), kQuantizedTypes.end(),
                       [type](const CodeRange& range) { return range.type == type; });
}

GgufMatrix matrix_of_codes(WeightType type, size_t n_rows, size_t k, const std::vector<int>& stored_codes,
                           const std::vector<uint16_t>& d, const std::vector<uint16_t>& m) {
  GgufMatrix matrix;
  matrix.type = type;
  matrix.n_rows = n_rows;
  matrix.k = k;
  const CodeRange& range = codes_of(type);
  for (size_t block = 0; block < n_rows * k / 32; ++block) {
    put_half(matrix.bytes, d[block]);
    if (range.has_minimum) put_half(matrix.bytes, m[block]);
    put_codes(matrix.bytes, type, stored_codes.data() + block * 32);
    matrix.d.push_back(half_value(d[block]));
    matrix.m.push_back(range.has_minimum ? half_value(m[block]) : 0.0);
    for (size_t i = 0; i < 32; ++i) {
      const int code = stored_codes[block * 32 + i] - range.zero;
      matrix.codes.push_back(code);
      matrix.weights.push_back(code * matrix.d.back() + matrix.m.back());
    }
  }
  return matrix;
}

GgufMatrix random_matrix(WeightType type, size_t n_rows, size_t k, Random& random) {
  if (!belle::traits_of(type).quantized) return random_float_matrix(type, n_rows, k, random);
  std::vector<int> codes(n_rows * k);
  for (int& code : codes) {
    const int bits = static_cast<int>(random.bits() >> 8);
    const CodeRange& range = codes_of(type);
    code = range.smallest + bits % (range.largest - range.smallest + 1);
  }
  std::vector<uint16_t> d(n_rows * k / 32), m(d.size());
  for (uint16_t& scale : d) scale = random_scale(random);
  for (uint16_t& minimum : m) minimum = random_scale(random);
  return matrix_of_codes(type, n_rows, k, codes, d, m);
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
