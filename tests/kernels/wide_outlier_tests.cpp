// Wide kernels on activations with outliers: inside slabs, and kept out of them.
#include <cmath>
#include <limits>

#include "wide_products.h"

namespace belle_test {

using belle::WeightType;

// A few channels 32 times as large as the others: one scale for a slab is then coarse, bfloat16 is not.
void test_outlier_channels(const Form& form, WeightType type, Checks& checks) {
  Random random(9);
  const size_t k = 512, n_rows = 64, n_tokens = 40;
  const GgufMatrix matrix = random_matrix(type, n_rows, k, random);
  const Guarded<uint8_t> image(packed(matrix));
  Guarded<float> x(random.floats(n_tokens * k, -1.0f, 1.0f));
  for (size_t i = 0; i < x.size(); i += 61) x[i] *= 32.0f;
  const Packed activations(form, x.data(), n_tokens, k);
  Guarded<float> y(n_tokens * n_rows);
  multiply(form, type, image.data(), n_rows, k, activations, n_tokens, y.data(), n_rows);
  check_values(form, matrix, x, n_tokens, y, n_rows, form.outlier_bound, checks);
}

// Channels up to 1000 times as large as the others, kept out of the slabs: the error of the rest is what remains of
// them, in every position of a unit and of a tile, and the invariance of all other products holds.
void check_outliers_apart(const Form& form, WeightType type, size_t n_rows, size_t k, size_t n_tokens,
                          const std::vector<uint32_t>& columns, Checks& checks) {
  Random random(n_rows * 31 + k + n_tokens * 7 + columns.size());
  const GgufMatrix matrix = random_matrix(type, n_rows, k, random);
  const Guarded<uint8_t> image(packed(matrix));
  const Guarded<uint32_t> outliers(columns);
  Guarded<float> x(random.floats(n_tokens * k, -1.0f, 1.0f));
  const auto multiply_all = [&](Guarded<float>& y) {
    const Packed activations(form, x.data(), n_tokens, k, outliers);
    multiply(form, type, image.data(), n_rows, k, activations, n_tokens, y.data(), n_rows);
  };
  for (size_t t = 0; t < n_tokens; ++t) {
    for (const uint32_t column : columns) x[t * k + column] *= t % 2 == 0 ? 30.0f : 1000.0f;
  }
  Guarded<float> y(n_tokens * n_rows);
  multiply_all(y);
  check_values(form, matrix, x, n_tokens, y, n_rows, form.rms_bound, checks);
  check_invariance(form, matrix, image, x, n_tokens, y, n_rows, outliers, checks);

  // The outliers alone are products in float.
  for (size_t i = 0; i < x.size(); ++i) {
    bool kept = false;
    for (const uint32_t column : columns) kept = kept || column == i % k;
    if (!kept) x[i] = 0.0f;
  }
  multiply_all(y);
  size_t wrong = 0;
  for (size_t i = 0; i < y.size(); ++i) {
    const Exact exact = exact_dot(matrix, i % n_rows, x.data() + i / n_rows * k);
    const double tolerance = 2.0 * static_cast<double>(columns.size() + 2) * kFloatEps * exact.norm;
    wrong += !near(y[i], exact.value, tolerance);
  }
  checks.that(wrong == 0, "wide %s %s rows=%zu k=%zu tokens=%zu: %zu products of %zu outliers", form.name,
              belle::traits_of(type).name, n_rows, k, n_tokens, wrong, columns.size());

  // One that is not finite spoils its token and no other.
  const size_t bad = n_tokens / 2;
  x[bad * k + columns.back()] = std::numeric_limits<float>::quiet_NaN();
  multiply_all(y);
  bool contained = true;
  for (size_t i = 0; i < y.size(); ++i) contained = contained && std::isnan(y[i]) == (i / n_rows == bad);
  checks.that(contained, "wide %s %s: NaN in an outlier must stay in its token", form.name,
              belle::traits_of(type).name);
}

void test_outliers_apart(const Form& form, WeightType type, Checks& checks) {
  std::vector<uint32_t> every;  // of one unit
  for (uint32_t i = 0; i < belle::kMaxOutliers; ++i) every.push_back(i);
  check_outliers_apart(form, type, 33, 32, 19, every, checks);
  for (uint32_t& column : every) column += 288;
  check_outliers_apart(form, type, 64, 352, 21, every, checks);
  std::vector<uint32_t> spread;  // over all places in a unit
  for (uint32_t i = 0; i < belle::kMaxOutliers; ++i) spread.push_back(i * 33 % 32 + i * 32);
  check_outliers_apart(form, type, 130, 1024, 37, spread, checks);
  for (size_t n_rows : {1, 15, 16, 17, 48, 63, 64, 65, 97})
    check_outliers_apart(form, type, n_rows, 288, 18, {287}, checks);
  for (size_t n_tokens : {1, 2, 3, 4, 5, 16, 17, 31, 530}) {
    check_outliers_apart(form, type, 20, 320, n_tokens, {0, 31, 255, 256, 319}, checks);
  }
  check_outliers_apart(form, type, 274, 4384, 33, {0, 2304, 4383}, checks);
}

}  // namespace belle_test
