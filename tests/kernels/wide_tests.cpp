// The wide kernels of prefill: against products in double of the dequantized weights, within a bound for each form;
// the same bits however tokens and rows are cut into calls; nothing touched outside the buffers; and those of block32
// give the bits of the kernels for few tokens.
#include <cmath>
#include <limits>
#include <string>

#include "wide_products.h"

namespace belle_test {
namespace {

using belle::ActivationForm;
using belle::WeightType;

constexpr float kUntouched = -12345.0f;

void check_packing_in_parts(const Form& form, const Guarded<float>& x, size_t n_tokens, size_t k, Checks& checks) {
  const Packed whole(form, x.data(), n_tokens, k);
  Guarded<uint8_t> parts(whole.bytes.size());
  std::memset(parts.data(), 0x5a, parts.size());
  for (size_t tile = token_tiles(form, n_tokens); tile-- > 0;) {
    form.kernels->pack({x.data(), n_tokens, k, tile, tile + 1, parts.data(), {}});
  }
  checks.that(std::memcmp(whole.bytes.data(), parts.data(), parts.size()) == 0,
              "wide %s k=%zu tokens=%zu: packed in parts", form.name, k, n_tokens);
}

void run_shape(const Form& form, WeightType type, size_t n_rows, size_t k, size_t n_tokens, Checks& checks) {
  Random random(n_rows * 7919 + k * 31 + n_tokens);
  const GgufMatrix matrix = random_matrix(type, n_rows, k, random);
  const Guarded<uint8_t> image(packed(matrix));
  const Guarded<float> x(random.floats(n_tokens * k, -3.0f, 3.0f));
  const Packed activations(form, x.data(), n_tokens, k);
  const size_t y_stride = n_rows + n_tokens % 3;
  Guarded<float> y((n_tokens - 1) * y_stride + n_rows);
  for (size_t i = 0; i < y.size(); ++i) y[i] = kUntouched;
  multiply(form, type, image.data(), n_rows, k, activations, n_tokens, y.data(), y_stride);

  check_values(form, matrix, x, n_tokens, y, y_stride, form.rms_bound, checks);
  bool untouched = true;
  for (size_t i = 0; i < y.size(); ++i) untouched = untouched && (i % y_stride < n_rows || y[i] == kUntouched);
  checks.that(untouched, "wide %s rows=%zu: wrote past a row", form.name, n_rows);
  check_invariance(form, matrix, image, x, n_tokens, y, y_stride, Packed::no_columns(), checks);
  check_packing_in_parts(form, x, n_tokens, k, checks);
}

// The columns that whole units of a type have, k or more.
size_t whole_units(WeightType type, size_t k) {
  const size_t unit = codes_of(type).unit_columns;
  return (k + unit - 1) / unit * unit;
}

// Scales of a matrix that are d and m everywhere; of super-blocks the halves, with whole numbers that are all the same.
MatrixScales equal_scales(WeightType type, size_t n_rows, size_t k, float d, float m, int whole_d, int whole_m) {
  const CodeRange& range = codes_of(type);
  const size_t n_units = n_rows * k / range.unit_columns, n_scales = n_rows * k / range.scale_columns;
  MatrixScales scales;
  scales.d.assign(n_units, belle::float_to_half(d));
  scales.m.assign(n_units, belle::float_to_half(m));
  if (!range.whole_scales()) return scales;
  scales.scales.assign(n_scales, whole_d);
  scales.minima.assign(n_scales, whole_m);
  return scales;
}

// Rows in turn of one scale, the largest that its whole number allows, of mixed scales, and of zeros.
MatrixScales scales_in_turn(WeightType type, size_t n_rows, size_t k, Random& random) {
  const CodeRange& range = codes_of(type);
  MatrixScales scales = equal_scales(type, n_rows, k, 0.01f, range.whole_scales() ? 0.08f : -0.08f, range.largest_scale,
                                     range.largest_minimum);
  const auto whole = [&](int lowest, int highest) {
    return lowest + static_cast<int>(random.below(static_cast<uint32_t>(highest - lowest + 1)));
  };
  for (size_t i = 0; i < scales.d.size(); ++i) {
    const size_t row = i / (k / range.unit_columns);
    if (row % 3 == 0) continue;
    scales.d[i] = belle::float_to_half(row % 3 == 1 ? random.uniform(-0.02f, 0.02f) : 0.0f);
    scales.m[i] = belle::float_to_half(row % 3 == 1 ? random.uniform(-0.3f, 0.3f) : 0.0f);
  }
  for (size_t i = 0; i < scales.scales.size(); ++i) {
    if (i / (k / range.scale_columns) % 3 == 0) continue;
    scales.scales[i] = whole(range.smallest_scale, range.largest_scale);
    scales.minima[i] = whole(0, range.largest_minimum);
  }
  return scales;
}

// Activations that are the unit matrix bring out every weight: all codes in all positions, each within the rounding of
// the form. Slabs of one scale, of mixed scales and of zeros; the last slab is short.
void every_weight(const Form& form, WeightType type, Checks& checks) {
  const CodeRange& range = codes_of(type);
  const size_t k = range.whole_scales() ? 512 : 256 + 256 + 96, n_rows = 48, n_scales = k / range.scale_columns;
  const int first = range.smallest, n_codes = range.largest - first + 1;
  std::vector<int> codes(n_rows * k);
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<int>(i * 7 + i / 32 * 5) % n_codes + first;
  Random random(77);
  const GgufMatrix matrix = matrix_of_codes(type, n_rows, k, codes, scales_in_turn(type, n_rows, k, random));
  const Guarded<uint8_t> image(packed(matrix));
  Guarded<float> x(k * k);
  for (size_t i = 0; i < x.size(); ++i) x[i] = i / k == i % k ? 1.0f : 0.0f;
  const Packed activations(form, x.data(), k, k);
  Guarded<float> y(k * n_rows);
  multiply(form, type, image.data(), n_rows, k, activations, k, y.data(), n_rows);

  size_t wrong = 0;
  for (size_t row = 0; row < n_rows; ++row) {
    for (size_t col = 0; col < k; ++col) {
      const size_t slab = col / 256 * 256, end = slab + 256 < k ? slab + 256 : k;
      double largest = 0.0;  // the largest weight that the slab's scales allow
      for (size_t i = slab / range.scale_columns; i < end / range.scale_columns; ++i) {
        const double scale = matrix.d[row * n_scales + i], minimum = matrix.m[row * n_scales + i];
        const double low = range.value_of(range.smallest), high = range.has_minimum ? range.largest : 0;
        largest = std::fmax(largest, std::fmax(std::fabs(low * scale + minimum), std::fabs(high * scale + minimum)));
      }
      const double exact = matrix.weights[row * k + col];
      const double steps = 0.53 + (range.uneven() ? form.uneven_error : 0.0);
      const double tolerance = form.int8_columns > 32 ? steps * largest / 127.0 : std::fabs(exact) / 256.0;
      wrong += !near(y[col * n_rows + row], exact, tolerance + 1e-30);
    }
  }
  checks.that(wrong == 0, "wide %s %s: %zu of %zu weights", form.name, belle::traits_of(type).name, wrong, n_rows * k);
}

// Weights that are zero but for one column of each row bring out every activation.
void every_activation(const Form& form, WeightType type, Checks& checks) {
  const size_t k = whole_units(type, 256 + 64 + 32), n_rows = k, n_tokens = 37;
  const int zero = codes_of(type).zero, lowest = codes_of(type).smallest;
  std::vector<int> codes(n_rows * k, zero);
  for (size_t row = 0; row < n_rows; ++row) codes[row * k + row] = lowest;
  const float step = 1.0f / static_cast<float>(zero - lowest);  // so that the lowest code is the weight -1
  const GgufMatrix matrix = matrix_of_codes(type, n_rows, k, codes, equal_scales(type, n_rows, k, step, 0.0f, 1, 0));
  const Guarded<uint8_t> image(packed(matrix));
  Random random(78);
  Guarded<float> x(random.floats(n_tokens * k, -5.0f, 5.0f));
  for (size_t i = 0; i < k; ++i) x[5 * k + i] *= 1e30f;
  for (size_t i = 0; i < k; ++i) x[6 * k + i] *= 1e-25f;
  const Packed activations(form, x.data(), n_tokens, k);
  Guarded<float> y(n_tokens * n_rows);
  multiply(form, type, image.data(), n_rows, k, activations, n_tokens, y.data(), n_rows);
  size_t wrong = 0;
  for (size_t t = 0; t < n_tokens; ++t) {
    for (size_t col = 0; col < k; ++col) {
      const size_t width = form.int8_columns > 0 ? form.int8_columns : 1;
      const size_t slab = col / width * width, end = slab + width < k ? slab + width : k;
      double largest = 0.0;
      for (size_t i = slab; i < end; ++i) largest = std::fmax(largest, std::fabs(x[t * k + i]));
      const double exact = -static_cast<double>(x[t * k + col]);
      const double tolerance = form.int8_columns > 0 ? 0.501 * largest / 127.0 : std::fabs(exact) / 256.0;
      wrong += !near(y[t * n_rows + col], exact, tolerance);
    }
  }
  checks.that(wrong == 0, "wide %s: %zu of %zu activations", form.name, wrong, n_tokens * k);
}

// One bad activation spoils its own token, visibly, and no other; tokens of zeros give zeros.
void not_a_number(const Form& form, WeightType type, Checks& checks) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  Random random(5);
  const size_t k = whole_units(type, 288), n_rows = 49, n_tokens = 37, zero = 20;
  std::vector<int> codes(n_rows * k, 1);  // no weight is zero: infinity times zero would be NaN where -0 is right
  const GgufMatrix matrix = matrix_of_codes(type, n_rows, k, codes, equal_scales(type, n_rows, k, 1.0f, -3.0f, 1, 1));
  const Guarded<uint8_t> image(packed(matrix));
  for (float bad : {std::nanf(""), kInfinity, -kInfinity}) {
    Guarded<float> x(random.floats(n_tokens * k, -3.0f, 3.0f));
    for (size_t i = 0; i < k; ++i) x[zero * k + i] = i % 2 == 0 ? 0.0f : -0.0f;
    x[4 * k + 3] = x[36 * k + k - 1] = bad;
    const Packed activations(form, x.data(), n_tokens, k);
    Guarded<float> y(n_tokens * n_rows);
    multiply(form, type, image.data(), n_rows, k, activations, n_tokens, y.data(), n_rows);
    bool visible = true, contained = true, zeros = true;
    for (size_t i = 0; i < y.size(); ++i) {
      const size_t token = i / n_rows;
      if (token == 4 || token == 36) visible = visible && !std::isfinite(y[i]);
      else contained = contained && std::isfinite(y[i]);
      if (token == zero) zeros = zeros && y[i] == 0.0f;
    }
    checks.that(visible && contained, "wide %s %s: %g must stay in its token", form.name, belle::traits_of(type).name,
                static_cast<double>(bad));
    checks.that(zeros, "wide %s %s: a token of zeros", form.name, belle::traits_of(type).name);
  }
}

// Every code and every activation at its largest: integer sums that would overflow show.
void largest_sums(const Form& form, WeightType type, Checks& checks) {
  const size_t k = whole_units(type, 512 + 32), n_rows = 17, n_tokens = 5;
  const CodeRange& range = codes_of(type);
  const int code = range.value_of(range.largest) > -range.value_of(range.smallest) ? range.largest : range.smallest;
  const std::vector<int> codes(n_rows * k, code);
  const int whole = -range.smallest_scale > range.largest_scale ? range.smallest_scale : range.largest_scale;
  const GgufMatrix matrix =
      matrix_of_codes(type, n_rows, k, codes, equal_scales(type, n_rows, k, 0.25f, 0.0f, whole, 0));
  const Guarded<uint8_t> image(packed(matrix));
  for (float value : {2.0f, -2.0f}) {
    Guarded<float> x(n_tokens * k);
    for (size_t i = 0; i < x.size(); ++i) x[i] = value;
    const Packed activations(form, x.data(), n_tokens, k);
    Guarded<float> y(n_tokens * n_rows);
    multiply(form, type, image.data(), n_rows, k, activations, n_tokens, y.data(), n_rows);
    size_t wrong = 0;
    for (size_t i = 0; i < y.size(); ++i) {
      const double exact = exact_dot(matrix, i % n_rows, x.data()).value;
      wrong += !near(y[i], exact, (0.005 + (range.uneven() ? form.uneven_error / 127.0 : 0.0)) * std::fabs(exact));
    }
    checks.that(wrong == 0, "wide %s %s: %zu of %zu of the largest sums", form.name, belle::traits_of(type).name, wrong,
                y.size());
  }
}

// The wide kernels of block32 against those for few tokens: the same bits, or NaN in both.
void same_as_narrow(const belle::KernelTable& table, const Form& form, WeightType type, size_t n_rows, size_t k,
                    size_t n_tokens, Checks& checks) {
  Random random(n_rows * 104729 + k * 17 + n_tokens);
  const GgufMatrix matrix = random_matrix(type, n_rows, k, random);
  const Guarded<uint8_t> image(packed(matrix));
  Guarded<float> x(random.floats(n_tokens * k, -3.0f, 3.0f));
  x[x.size() - 1] = std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < k; ++i) x[i] *= 1e30f;
  const Packed activations(form, x.data(), n_tokens, k);
  Guarded<float> y(n_tokens * n_rows), expected(n_tokens * n_rows);
  multiply(form, type, image.data(), n_rows, k, activations, n_tokens, y.data(), n_rows);

  std::vector<belle::ActivationBlock> blocks(n_tokens * k / 32);
  for (size_t t = 0; t < n_tokens; ++t) {
    const size_t step = block_index(n_tokens, k / 32, t, 1) - block_index(n_tokens, k / 32, t, 0);
    table.quantize_activations(x.data() + t * k, k / 32, &blocks[block_index(n_tokens, k / 32, t, 0)], step);
  }
  belle::PanelMatmul narrow{};
  narrow.panels = image.data();
  narrow.n_rows = narrow.y_stride = n_rows;
  narrow.k = k;
  narrow.blocks = blocks.data();
  narrow.n_tokens = n_tokens;
  narrow.y = expected.data();
  table.matmul[static_cast<size_t>(type)](narrow);
  size_t wrong = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    wrong += !same_bits(&y[i], &expected[i], 1) && !(std::isnan(y[i]) && std::isnan(expected[i]));
  }
  checks.that(wrong == 0, "wide block32 %s rows=%zu k=%zu tokens=%zu: %zu outputs are not those of few tokens",
              belle::traits_of(type).name, n_rows, k, n_tokens, wrong);
}

void shapes_of_whole_units(const Form& form, WeightType type, Checks& checks) {
  for (size_t n_rows : {1, 15, 16, 17, 33, 65, 81}) run_shape(form, type, n_rows, 512, 19, checks);
  for (size_t n_tokens : {1, 2, 3, 4, 5, 16, 17, 33, 540}) run_shape(form, type, 19, 256, n_tokens, checks);
  for (size_t k : {256, 768, 4352}) run_shape(form, type, 130, k, 33, checks);
  if (form.takes_outliers) check_outliers_apart(form, type, 130, 1024, 37, {0, 31, 255, 256, 700, 1023}, checks);
}

void test_form(const Form& form, Checks& checks) {
  every_activation(form, form.has(WeightType::kQ8_0) ? WeightType::kQ8_0 : WeightType::kQ4_0, checks);
  if (form.has(WeightType::kQ6_K)) every_activation(form, WeightType::kQ6_K, checks);
  for (const CodeRange& range : kQuantizedTypes) {
    const WeightType type = range.type;
    if (!form.has(type)) continue;
    every_weight(form, type, checks);
    not_a_number(form, type, checks);
    test_outlier_channels(form, type, checks);
    largest_sums(form, type, checks);
    if (range.unit_columns > 32) {
      shapes_of_whole_units(form, type, checks);
      continue;
    }
    if (form.takes_outliers) test_outliers_apart(form, type, checks);
    for (size_t n_rows = 1; n_rows <= 81; n_rows += n_rows < 18 ? 1 : 5) run_shape(form, type, n_rows, 64, 19, checks);
    for (size_t n_tokens = 1; n_tokens <= 50; ++n_tokens) run_shape(form, type, 19, 96, n_tokens, checks);
    for (size_t k : {32, 64, 96, 224, 256, 288, 320, 512, 544, 1024, 1120}) run_shape(form, type, 33, k, 17, checks);
    run_shape(form, type, 130, 544, 65, checks);
    run_shape(form, type, 33, 352, 540, checks);  // more than one group of tokens
    run_shape(form, type, 16, 4096, 34, checks);
    run_shape(form, type, 274, 4384, 33, checks);  // more than AMX expands at once
  }
}

}  // namespace

void test_wide_matmul(const belle::KernelTable& table, Checks& checks) {
  const auto kernels_of = [&](ActivationForm form) { return table.wide[static_cast<size_t>(form)]; };
  const Form forms[] = {
      {"block32", kernels_of(ActivationForm::kBlock32), 0.008, 0.04, 32, false, 0.0},
      {"slab256", kernels_of(ActivationForm::kSlab256), 0.015, 0.08, 256, true,
       std::strcmp(table.name, "avx2") == 0 ? 1.0 : 0.0},
      {"bf16", kernels_of(ActivationForm::kBf16), 0.0035, 0.0035, 0, false, 0.0},
  };
  for (const Form& form : forms) {
    if (form.kernels == nullptr) continue;
    checks.that(form.has(WeightType::kQ4_0), "wide %s without q4_0", form.name);
    test_form(form, checks);
  }
  if (forms[0].kernels == nullptr) return;
  for (const CodeRange& range : kQuantizedTypes) {
    const WeightType type = range.type;
    if (!forms[0].has(type)) continue;
    if (range.unit_columns > 32) {
      for (size_t n_tokens : {1, 3, 37}) same_as_narrow(table, forms[0], type, 49, 768, n_tokens, checks);
      continue;
    }
    for (size_t n_rows : {1, 16, 49, 130}) same_as_narrow(table, forms[0], type, n_rows, 544, 37, checks);
    for (size_t n_tokens : {1, 2, 3, 4, 530}) same_as_narrow(table, forms[0], type, 33, 288, n_tokens, checks);
    for (size_t k : {32, 256, 288, 1120}) same_as_narrow(table, forms[0], type, 64, k, 20, checks);
  }
}

}  // namespace belle_test
