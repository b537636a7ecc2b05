// Matrix products: against a reference in double, bit-identical for every way to cut the work, and nothing written
// or read outside the buffers.
#include <cmath>

#include "reference.h"

namespace belle_test {
namespace {

using belle::ActivationBlock;
using belle::KernelTable;
using belle::kPanelRows;
using belle::PanelMatmul;
using belle::WeightType;

constexpr float kUntouched = -12345.0f;

/// The activations of both kinds of weights; quantized ones are made here, not by the kernel under test.
struct Activations {
  size_t n_tokens, n_blocks;
  Guarded<float> x;                 // [n_tokens, k]
  Guarded<ActivationBlock> blocks;  // [n_tokens, k / 32] in groups of tokens

  Activations(size_t tokens, size_t k, Random& random)
      : n_tokens(tokens), n_blocks(k / 32), x(random.floats(n_tokens * k, -3.0f, 3.0f)), blocks(n_tokens * (k / 32)) {
    constexpr float kRare[] = {0.0f, 1e-30f, 1e20f};
    for (size_t b = 0; b < blocks.size(); ++b) {
      for (int8_t& value : blocks[b].values) {
        const int extreme = random.below(2) != 0 ? 127 : -127;
        value = static_cast<int8_t>(random.below(4) == 0 ? extreme : static_cast<int>(random.below(255)) - 127);
      }
      blocks[b].scale = random.below(12) == 0 ? kRare[random.below(3)] : random.uniform(0.0f, 0.1f);
    }
    set_sums();
  }

  /// Token t alone.
  Activations(const Activations& all, size_t t)
      : n_tokens(1), n_blocks(all.n_blocks), x(all.x.size() / all.n_tokens), blocks(all.n_blocks) {
    for (size_t i = 0; i < x.size(); ++i) x[i] = all.x[t * x.size() + i];
    for (size_t b = 0; b < n_blocks; ++b) at(0, b) = all.at(t, b);
  }

  ActivationBlock& at(size_t token, size_t block) { return blocks[block_index(n_tokens, n_blocks, token, block)]; }
  const ActivationBlock& at(size_t token, size_t block) const {
    return blocks[block_index(n_tokens, n_blocks, token, block)];
  }

  void set_sums() {
    for (size_t b = 0; b < blocks.size(); ++b) {
      int16_t* sums = blocks[b].sums;
      sums[0] = sums[1] = 0;
      for (size_t i = 0; i < 32; ++i) sums[i / 16] = static_cast<int16_t>(sums[i / 16] + blocks[b].values[i]);
    }
  }
};

constexpr size_t kReadAheads[] = {0, 8 * 288, 32 * 288, 1};  // bytes; none may change a bit

PanelMatmul arguments(const uint8_t* panels, size_t n_rows, size_t k, const Activations& a, float* y, size_t y_stride,
                      size_t read_ahead) {
  PanelMatmul args{};
  args.panels = panels;
  args.n_rows = n_rows;
  args.k = k;
  args.x = a.x.data();
  args.blocks = a.blocks.data();
  args.n_tokens = a.n_tokens;
  args.y = y;
  args.y_stride = y_stride;
  args.read_ahead = read_ahead;
  return args;
}

struct Expected {
  double value = 0.0;
  double size = 0.0;  // sum of the absolute terms, for the tolerance
};

Expected quantized_dot(const GgufMatrix& matrix, size_t row, const Activations& a, size_t token) {
  const size_t width = codes_of(matrix.type).scale_columns;
  Expected expected;
  for (size_t col = 0; col < matrix.k; col += width) {
    const size_t at = row * matrix.k + col;
    const ActivationBlock& activations = a.at(token, col / 32);
    long long dot = 0, sum = 0;
    for (size_t i = 0; i < width; ++i) {
      const int value = activations.values[col % 32 + i];
      dot += static_cast<long long>(matrix.codes[at + i]) * value;
      sum += value;
    }
    const double scale = activations.scale;
    const double product = static_cast<double>(dot) * matrix.d[at / width] * scale;
    const double minimum = matrix.m[at / width] * scale * static_cast<double>(sum);
    expected.value += product + minimum;
    expected.size += std::fabs(product) + std::fabs(minimum);
  }
  return expected;
}

Expected float_dot(const GgufMatrix& matrix, size_t row, const Activations& a, size_t token) {
  Expected expected;
  for (size_t col = 0; col < matrix.k; ++col) {
    const double product = matrix.weights[row * matrix.k + col] * a.x[token * matrix.k + col];
    expected.value += product;
    expected.size += std::fabs(product);
  }
  return expected;
}

// Every output against the reference; every float between the rows of y untouched.
void check_values(const GgufMatrix& matrix, const Activations& a, size_t n_tokens, const Guarded<float>& y,
                  size_t y_stride, Checks& checks) {
  const bool quantized = belle::traits_of(matrix.type).quantized;
  const double terms = static_cast<double>(quantized ? 2 * (matrix.k / 32) : matrix.k) + 4.0;
  bool all_near = true, all_untouched = true;
  for (size_t t = 0; t < n_tokens; ++t) {
    for (size_t row = 0; row < matrix.n_rows; ++row) {
      const Expected e = quantized ? quantized_dot(matrix, row, a, t) : float_dot(matrix, row, a, t);
      all_near = all_near && near(y[t * y_stride + row], e.value, terms * kFloatEps * e.size + 1e-37);
    }
    for (size_t i = t * y_stride + matrix.n_rows; i < (t + 1) * y_stride && i < y.size(); ++i) {
      all_untouched = all_untouched && y[i] == kUntouched;
    }
  }
  const char* name = belle::traits_of(matrix.type).name;
  checks.that(all_near, "matmul %s rows=%zu k=%zu tokens=%zu: values", name, matrix.n_rows, matrix.k, n_tokens);
  checks.that(all_untouched, "matmul %s rows=%zu k=%zu tokens=%zu: wrote past a row", name, matrix.n_rows, matrix.k,
              n_tokens);
}

// Token by token and panel by panel gives the bits of the whole.
void check_invariance(const KernelTable& table, const GgufMatrix& matrix, const Guarded<uint8_t>& image,
                      const Activations& a, size_t n_tokens, const Guarded<float>& y, size_t y_stride, Checks& checks) {
  const size_t panel_bytes = belle::panel_bytes(matrix.type, matrix.k);
  bool same = true;
  for (size_t t = 0; t < n_tokens; ++t) {
    const Activations token(a, t);
    for (size_t row = 0; row < matrix.n_rows; row += kPanelRows) {
      const size_t n = matrix.n_rows - row < kPanelRows ? matrix.n_rows - row : kPanelRows;
      Guarded<float> alone(n);
      table.matmul[static_cast<size_t>(matrix.type)](arguments(image.data() + row / kPanelRows * panel_bytes, n,
                                                               matrix.k, token, alone.data(), n,
                                                               kReadAheads[(t + 1) % 4]));
      same = same && same_bits(alone.data(), y.data() + t * y_stride + row, n);
    }
  }
  checks.that(same, "matmul %s rows=%zu k=%zu tokens=%zu: bits depend on the batch", belle::traits_of(matrix.type).name,
              matrix.n_rows, matrix.k, n_tokens);
}

void run_shape(const KernelTable& table, WeightType type, size_t n_rows, size_t k, size_t n_tokens, Checks& checks) {
  Random random(n_rows * 7919 + k * 31 + n_tokens);
  const GgufMatrix matrix = random_matrix(type, n_rows, k, random);
  const Guarded<uint8_t> image(packed(matrix));
  const Activations a(n_tokens, k, random);
  const size_t y_stride = n_rows + n_tokens % 3;
  Guarded<float> y((n_tokens - 1) * y_stride + n_rows);
  for (size_t i = 0; i < y.size(); ++i) y[i] = kUntouched;
  table.matmul[static_cast<size_t>(type)](
      arguments(image.data(), n_rows, k, a, y.data(), y_stride, kReadAheads[n_tokens % 4]));
  check_values(matrix, a, n_tokens, y, y_stride, checks);
  check_invariance(table, matrix, image, a, n_tokens, y, y_stride, checks);
}

// Scale 1, and zeros but for one position of each block; the last four tokens have extremes everywhere.
void put_one_position_each(Activations& a) {
  for (size_t t = 0; t < a.n_tokens; ++t) {
    for (size_t b = 0; b < a.n_blocks; ++b) {
      a.at(t, b).scale = 1.0f;
      for (size_t i = 0; i < 32; ++i) {
        const int extremes[] = {127, -127, i % 2 == 0 ? 127 : -127, i < 16 ? 127 : -127};
        a.at(t, b).values[i] = static_cast<int8_t>(t < 32 ? (i == t ? (t % 2 == 0 ? 127 : -1) : 0) : extremes[t - 32]);
      }
    }
  }
  a.set_sums();
}

// Products of a unit of 16 rows that are small whole numbers, so the results are exact.
void exact_products(const KernelTable& table, const GgufMatrix& matrix, size_t read_ahead, const char* what, int number,
                    Checks& checks) {
  Random random(1);
  Activations a(36, matrix.k, random);
  put_one_position_each(a);
  const Guarded<uint8_t> image(packed(matrix));
  Guarded<float> y(a.n_tokens * kPanelRows);
  table.matmul[static_cast<size_t>(matrix.type)](
      arguments(image.data(), kPanelRows, matrix.k, a, y.data(), kPanelRows, read_ahead));
  bool exact = true;
  for (size_t t = 0; t < a.n_tokens; ++t) {
    for (size_t row = 0; row < kPanelRows; ++row) {
      exact = exact && static_cast<double>(y[t * kPanelRows + row]) == quantized_dot(matrix, row, a, t).value;
    }
  }
  checks.that(exact, "matmul %s: %s %d is not exact", belle::traits_of(matrix.type).name, what, number);
}

// Stored code `code + row` in every position.
void every_code(const KernelTable& table, WeightType type, int code, Checks& checks) {
  const CodeRange& range = codes_of(type);
  const int first = range.smallest, n_codes = range.largest - first + 1;
  std::vector<int> codes(kPanelRows * range.unit_columns);
  for (size_t i = 0; i < codes.size(); ++i) {
    codes[i] = (code + static_cast<int>(i / range.unit_columns)) % n_codes + first;
  }
  MatrixScales scales{std::vector<uint16_t>(kPanelRows, 0x3c00), std::vector<uint16_t>(kPanelRows, 0xc200), {}, {}};
  scales.scales.assign(codes.size() / range.scale_columns, 1);
  scales.minima.assign(codes.size() / range.scale_columns, 1);
  const GgufMatrix matrix = matrix_of_codes(type, kPanelRows, range.unit_columns, codes, scales);
  exact_products(table, matrix, kReadAheads[code % 4], "code", code + first, checks);
}

// Every whole number of a super-block meets every place: scale and minimum go on from part to part and row to row.
// Codes are 0 but for one column of each part, so that the products stay small.
void every_scale(const KernelTable& table, WeightType type, int number, Checks& checks) {
  const CodeRange& range = codes_of(type);
  const int n_scales = range.largest_scale - range.smallest_scale + 1, n_minima = range.largest_minimum + 1;
  const size_t n_parts = range.unit_columns / range.scale_columns;
  std::vector<int> codes(kPanelRows * range.unit_columns, range.uneven() ? 8 : range.zero);  // index 8 stands for 1
  MatrixScales scales{std::vector<uint16_t>(kPanelRows, 0x3c00), std::vector<uint16_t>(kPanelRows, 0x4000), {}, {}};
  for (size_t i = 0; i < kPanelRows * n_parts; ++i) {
    const int at = number + static_cast<int>(i % n_parts * 5 + i / n_parts * 3);
    codes[i * range.scale_columns + i % range.scale_columns] = range.largest;
    scales.scales.push_back(range.smallest_scale + at % n_scales);
    scales.minima.push_back((at * 7 + 3) % n_minima);
  }
  const GgufMatrix matrix = matrix_of_codes(type, kPanelRows, range.unit_columns, codes, scales);
  exact_products(table, matrix, 0, "scale", number + range.smallest_scale, checks);
}

// One bad activation spoils its own token, visibly, and no other.
void not_a_number(const KernelTable& table, WeightType type, Checks& checks) {
  Random random(5);
  const bool quantized = belle::traits_of(type).quantized;
  const size_t k = 2 * (quantized ? codes_of(type).unit_columns : 32), n_rows = 17, n_tokens = 9, bad = 4;
  const GgufMatrix matrix = random_matrix(type, n_rows, k, random);
  const Guarded<uint8_t> image(packed(matrix));
  Activations a(n_tokens, k, random);
  a.x[bad * k + 3] = std::nanf("");
  if (a.n_blocks > 0) a.at(bad, 0).scale = std::nanf("");
  Guarded<float> y(n_tokens * n_rows);
  table.matmul[static_cast<size_t>(type)](arguments(image.data(), n_rows, k, a, y.data(), n_rows, kReadAheads[0]));
  bool right = true;
  for (size_t i = 0; i < y.size(); ++i) right = right && std::isnan(y[i]) == (i / n_rows == bad);
  checks.that(right, "matmul %s: NaN must stay in its token", belle::traits_of(type).name);
}

}  // namespace

void test_matmul_quantized(const KernelTable& table, Checks& checks) {
  for (const CodeRange& range : kQuantizedTypes) {
    const WeightType type = range.type;
    const size_t unit = range.unit_columns;
    for (size_t n_rows = 1; n_rows <= 40; n_rows += unit == 32 || n_rows < 18 ? 1 : 7) {
      run_shape(table, type, n_rows, 2 * unit, 3, checks);
    }
    for (size_t n_tokens = 1; n_tokens <= 33; n_tokens += unit == 32 || n_tokens < 5 ? 1 : 4) {
      run_shape(table, type, 19, 3 * unit, n_tokens, checks);
    }
    for (size_t n_units : {1, 2, 3, unit == 32 ? 32 : 6}) run_shape(table, type, 33, n_units * unit, 5, checks);
    run_shape(table, type, 33, 4096, 3, checks);
    run_shape(table, type, 32, 2 * unit, 33, checks);
    run_shape(table, type, 16, 4096, 80, checks);  // more than one token group
    for (int code = 0; code <= range.largest - range.smallest; ++code) every_code(table, type, code, checks);
    if (range.whole_scales()) {
      for (int i = 0; i <= range.largest_scale - range.smallest_scale; ++i) every_scale(table, type, i, checks);
    }
    not_a_number(table, type, checks);
  }
}

void test_matmul_float(const KernelTable& table, Checks& checks) {
  for (WeightType type : {WeightType::kF32, WeightType::kF16, WeightType::kBf16}) {
    for (size_t n_rows = 1; n_rows <= 40; ++n_rows) run_shape(table, type, n_rows, 33, 3, checks);
    for (size_t n_tokens = 1; n_tokens <= 17; ++n_tokens) run_shape(table, type, 19, 31, n_tokens, checks);
    for (size_t k : {1, 2, 3, 7, 31, 33, 100, 172}) run_shape(table, type, 35, k, 5, checks);
    run_shape(table, type, 16, 4096, 35, checks);
    run_shape(table, type, 32, 64, 33, checks);
    not_a_number(table, type, checks);
  }
}

}  // namespace belle_test
