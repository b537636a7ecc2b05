// Row operations against double, over their whole range, with every tail length.
#include <cfloat>
#include <cmath>
#include <limits>

#include "core/half.h"
#include "support.h"

namespace belle_test {
namespace {

using belle::KernelTable;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
const std::vector<size_t> kLengths = {1,  2,  3,  4,  5,  6,  7,  8,  9,  10,  11,  12,  13,  14,   15,
                                      16, 17, 23, 31, 32, 33, 63, 64, 65, 100, 127, 129, 172, 1000, 4096};

// ---- exp ----

void check_exp_range(const KernelTable& table, Checks& checks) {
  constexpr size_t kPoints = 200001;
  std::vector<float> points(kPoints);
  for (size_t i = 0; i < kPoints; ++i) points[i] = -87.0f + static_cast<float>(i) * (175.72f / (kPoints - 1));
  Guarded<float> x(points);
  table.exp_and_sum(x.data(), kPoints, 0.0f);
  double worst = 0.0;
  for (size_t i = 0; i < kPoints; ++i) {
    const double expected = std::exp(static_cast<double>(points[i]));
    worst = std::fmax(worst, std::fabs(x[i] - expected) / expected);
  }
  checks.that(worst < 2.4e-7, "exp: relative error %.3g", worst);  // 2 ulp
}

void check_exp_special(const KernelTable& table, Checks& checks) {
  Guarded<float> x(
      std::vector<float>{-kInfinity, -FLT_MAX, -1000.0f, -87.4f, 0.0f, 89.0f, FLT_MAX, kInfinity, std::nanf("")});
  const float sum = table.exp_and_sum(x.data(), x.size(), 0.0f);
  for (size_t i = 0; i < 4; ++i) checks.that(x[i] == 0.0f, "exp of %zu: %g is not 0", i, static_cast<double>(x[i]));
  checks.that(x[4] == 1.0f, "exp(0) is %.9g", static_cast<double>(x[4]));
  for (size_t i = 5; i < 8; ++i) checks.that(x[i] == kInfinity, "exp: no infinity, %g", static_cast<double>(x[i]));
  checks.that(std::isnan(x[8]) && std::isnan(sum), "exp: NaN vanished");
}

void check_exp_sum(const KernelTable& table, Checks& checks) {
  Random random(21);
  for (size_t n : kLengths) {
    const std::vector<float> before = random.floats(n, -20.0f, 5.0f);
    Guarded<float> x(before);
    const float sum = table.exp_and_sum(x.data(), n, 5.0f);
    double expected_sum = 0.0;
    bool all_near = true;
    for (size_t i = 0; i < n; ++i) {
      const double expected = std::exp(static_cast<double>(before[i] - 5.0f));
      expected_sum += expected;
      all_near = all_near && near(x[i], expected, 2.4e-7 * expected);
    }
    checks.that(all_near && near(sum, expected_sum, 1e-6 * expected_sum), "exp_and_sum n=%zu", n);
  }
}

// ---- Norms ----

void check_norms(const KernelTable& table, size_t n, float mean, float spread, Checks& checks) {
  Random random(n);
  const Guarded<float> x(random.floats(n, mean - spread, mean + spread));
  const Guarded<float> weight(random.floats(n, -2.0f, 2.0f)), bias(random.floats(n, -1.0f, 1.0f));
  const float eps = 1e-5f;
  double sum = 0.0, squares = 0.0, centred_squares = 0.0;
  for (size_t i = 0; i < n; ++i) sum += x[i];
  const double exact_mean = sum / static_cast<double>(n);
  for (size_t i = 0; i < n; ++i) {
    squares += static_cast<double>(x[i]) * x[i];
    centred_squares += (x[i] - exact_mean) * (x[i] - exact_mean);
  }
  const double layer_scale = 1.0 / std::sqrt(centred_squares / static_cast<double>(n) + eps);
  const double rms_scale = 1.0 / std::sqrt(squares / static_cast<double>(n) + eps);
  Guarded<float> layer(n), rms(n);
  table.layer_norm(x.data(), weight.data(), bias.data(), eps, n, layer.data());
  table.rms_norm(x.data(), weight.data(), eps, n, rms.data());
  bool layer_near = true, rms_near = true;
  for (size_t i = 0; i < n; ++i) {
    const double normal = (x[i] - exact_mean) * layer_scale * weight[i];
    layer_near = layer_near && near(layer[i], normal + bias[i], 1e-6 * (std::fabs(normal) + std::fabs(bias[i])) + 2e-6);
    const double scaled = x[i] * rms_scale * weight[i];
    rms_near = rms_near && near(rms[i], scaled, 1e-6 * std::fabs(scaled));
  }
  checks.that(layer_near, "layer_norm n=%zu mean=%g", n, static_cast<double>(mean));
  checks.that(rms_near, "rms_norm n=%zu mean=%g", n, static_cast<double>(mean));

  Guarded<float> in_place(n);
  std::memcpy(in_place.data(), x.data(), n * sizeof(float));
  table.layer_norm(in_place.data(), weight.data(), bias.data(), eps, n, in_place.data());
  checks.that(same_bits(in_place.data(), layer.data(), n), "layer_norm n=%zu in place", n);
  std::memcpy(in_place.data(), x.data(), n * sizeof(float));
  table.rms_norm(in_place.data(), weight.data(), eps, n, in_place.data());
  checks.that(same_bits(in_place.data(), rms.data(), n), "rms_norm n=%zu in place", n);
}

// ---- Activations ----

double gelu_reference(double x) {
  return 0.5 * x * (1.0 + std::tanh(0.79788456080286536 * x * (1.0 + 0.044715 * x * x)));
}

double silu_reference(double x) { return x / (1.0 + std::exp(-x)); }

void check_activations(const KernelTable& table, Checks& checks) {
  std::vector<float> points;
  for (int i = -40000; i <= 40000; ++i) points.push_back(static_cast<float>(i) * 0.001f);
  for (float big : {50.0f, 88.0f, 100.0f, 1e4f, 1e10f, 1e19f, 1e30f, FLT_MAX}) {
    points.push_back(big);
    points.push_back(-big);
  }
  const size_t n = points.size();
  Guarded<float> gelu(points), silu(n);
  const Guarded<float> gate(points), up(std::vector<float>(n, 1.0f));
  table.gelu(gelu.data(), n);
  table.silu_multiply(gate.data(), up.data(), n, silu.data());
  size_t gelu_wrong = 0, silu_wrong = 0;
  for (size_t i = 0; i < n; ++i) {
    const double g = gelu_reference(points[i]), s = silu_reference(points[i]);
    gelu_wrong += !near(gelu[i], g, 1e-6 * std::fabs(g) + 1e-7);
    silu_wrong += !near(silu[i], s, 1e-6 * std::fabs(s) + 1e-30);
  }
  checks.that(gelu_wrong == 0, "gelu: %zu of %zu points", gelu_wrong, n);
  checks.that(silu_wrong == 0, "silu: %zu of %zu points", silu_wrong, n);
}

void check_activation_tails(const KernelTable& table, size_t n, Checks& checks) {
  Random random(n + 5);
  const std::vector<float> before = random.floats(n, -6.0f, 6.0f);
  Guarded<float> gelu(before), gate(before);
  const Guarded<float> up(random.floats(n, -2.0f, 2.0f));
  table.gelu(gelu.data(), n);
  table.silu_multiply(gate.data(), up.data(), n, gate.data());  // in place
  bool all_near = true;
  for (size_t i = 0; i < n; ++i) {
    const double s = silu_reference(before[i]) * up[i];
    all_near = all_near && near(gelu[i], gelu_reference(before[i]), 1e-6 * std::fabs(before[i]) + 1e-7);
    all_near = all_near && near(gate[i], s, 1e-6 * std::fabs(s) + 1e-30);
  }
  checks.that(all_near, "gelu, silu_multiply n=%zu", n);
}

void check_not_a_number(const KernelTable& table, Checks& checks) {
  for (size_t n : {5, 16, 37}) {
    std::vector<float> bad(n, 1.0f);
    bad[n - 1] = std::nanf("");
    Guarded<float> gelu(bad), silu(bad), layer(bad), rms(bad);
    const Guarded<float> ones(std::vector<float>(n, 1.0f));
    table.gelu(gelu.data(), n);
    table.silu_multiply(silu.data(), ones.data(), n, silu.data());
    table.layer_norm(layer.data(), ones.data(), ones.data(), 1e-5f, n, layer.data());
    table.rms_norm(rms.data(), ones.data(), 1e-5f, n, rms.data());
    checks.that(std::isnan(gelu[n - 1]) && std::isnan(silu[n - 1]), "gelu, silu n=%zu: NaN vanished", n);
    checks.that(std::isnan(layer[0]) && std::isnan(rms[0]), "norms n=%zu: NaN vanished", n);
  }
}

// ---- add, rotate_pairs, to_half ----

void check_add(const KernelTable& table, size_t n, Checks& checks) {
  Random random(n + 9);
  const std::vector<float> before = random.floats(n, -6.0f, 6.0f);
  Guarded<float> x(before);
  const Guarded<float> y(random.floats(n, -6.0f, 6.0f));
  table.add(x.data(), y.data(), n);
  bool exact = true;
  for (size_t i = 0; i < n; ++i) exact = exact && x[i] == before[i] + y[i];
  checks.that(exact, "add n=%zu", n);
}

void check_rotate(const KernelTable& table, size_t n_pairs, Checks& checks) {
  Random random(n_pairs + 13);
  const std::vector<float> before = random.floats(2 * n_pairs, -3.0f, 3.0f);
  std::vector<float> angles = random.floats(n_pairs, -3.14f, 3.14f), c, s;
  for (float angle : angles) {
    c.push_back(std::cos(angle));
    s.push_back(std::sin(angle));
  }
  Guarded<float> x(before), alone(before);
  const Guarded<float> cosines(c), sines(s);
  table.rotate_pairs(x.data(), cosines.data(), sines.data(), n_pairs);
  bool all_near = true;
  for (size_t i = 0; i < n_pairs; ++i) {
    const double first = before[2 * i], second = before[2 * i + 1];
    all_near = all_near && near(x[2 * i], first * c[i] - second * s[i], 1e-6);
    all_near = all_near && near(x[2 * i + 1], first * s[i] + second * c[i], 1e-6);
    table.rotate_pairs(alone.data() + 2 * i, cosines.data() + i, sines.data() + i, 1);
  }
  checks.that(all_near, "rotate_pairs n=%zu", n_pairs);
  checks.that(same_bits(x.data(), alone.data(), 2 * n_pairs), "rotate_pairs n=%zu: bits depend on the place", n_pairs);
}

uint16_t half_of(const KernelTable& table, float value) {
  uint16_t half = 0;
  table.to_half(&value, 1, &half);
  return half;
}

// Every half, every midpoint between neighbours (ties to even), and the floats right beside each midpoint.
void check_half_rounding(const KernelTable& table, Checks& checks) {
  size_t wrong = 0;
  for (uint32_t low = 0; low < 0x7c00; ++low) {
    const uint32_t high = low + 1;
    const float below = belle::half_to_float(static_cast<uint16_t>(low));
    const float above = high < 0x7c00 ? belle::half_to_float(static_cast<uint16_t>(high)) : 65536.0f;
    const float middle = below + (above - below) / 2;  // exact
    const uint32_t even = low % 2 == 0 ? low : high;
    wrong += half_of(table, below) != low || half_of(table, -below) != (low | 0x8000u);
    wrong += half_of(table, middle) != even || half_of(table, -middle) != (even | 0x8000u);
    wrong += half_of(table, std::nextafterf(middle, 0.0f)) != low;
    wrong += half_of(table, std::nextafterf(middle, 1e30f)) != high;
  }
  checks.that(wrong == 0, "to_half: %zu wrong roundings", wrong);
  checks.that(half_of(table, kInfinity) == 0x7c00 && half_of(table, -FLT_MAX) == 0xfc00, "to_half: infinity");
  checks.that((half_of(table, std::nanf("")) & 0x7fff) > 0x7c00, "to_half: NaN vanished");
}

void check_half_tails(const KernelTable& table, size_t n, Checks& checks) {
  Random random(n + 17);
  const Guarded<float> x(random.floats(n, -9.0f, 9.0f));
  Guarded<uint16_t> halves(n);
  table.to_half(x.data(), n, halves.data());
  bool exact = true;
  for (size_t i = 0; i < n; ++i) exact = exact && halves[i] == belle::float_to_half(x[i]);
  checks.that(exact, "to_half n=%zu", n);
}

}  // namespace

void test_rows(const KernelTable& table, Checks& checks) {
  check_exp_range(table, checks);
  check_exp_special(table, checks);
  check_exp_sum(table, checks);
  check_activations(table, checks);
  check_not_a_number(table, checks);
  check_half_rounding(table, checks);
  for (size_t n : kLengths) {
    check_norms(table, n, 0.0f, 2.0f, checks);
    check_norms(table, n, 0.5f, 300.0f, checks);
    check_norms(table, n, 1000.0f, 1.0f, checks);  // small differences between large values
    check_activation_tails(table, n, checks);
    check_add(table, n, checks);
    check_rotate(table, n, checks);
    check_half_tails(table, n, checks);
  }
}

}  // namespace belle_test
