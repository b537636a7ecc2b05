// quantize_activations: the same bits on every tier, within half a step of the input, and safe for any input.
#include <cfloat>
#include <cmath>
#include <limits>

#include "core/half.h"
#include "kernels/activation_order.h"
#include "support.h"

namespace belle_test {
namespace {

using belle::ActivationBlock;
using belle::KernelTable;

// The contract step by step in float; the vector tiers must give these bits.
ActivationBlock reference_block(const float* x) {
  ActivationBlock block{};
  float absmax = 0.0f;
  bool finite = true;
  for (size_t i = 0; i < 32; ++i) {
    finite = finite && std::isfinite(x[i]);
    if (std::fabs(x[i]) > absmax) absmax = std::fabs(x[i]);
  }
  block.scale = finite ? 0.0f : std::nanf("");
  if (!finite || absmax < 1e-30f) return block;
  block.scale = absmax / 127.0f;
  const float inverse = 127.0f / absmax;
  for (size_t i = 0; i < 32; ++i) {
    const float product = x[i] * inverse;
    block.values[i] = static_cast<int8_t>(std::nearbyint(product));
    block.sums[i / 16] = static_cast<int16_t>(block.sums[i / 16] + block.values[i]);
  }
  return block;
}

void check_blocks(const KernelTable& table, const std::vector<float>& input, const char* what, Checks& checks) {
  const size_t n_blocks = input.size() / 32, stride = 1 + n_blocks % 3;
  const Guarded<float> x(input);
  Guarded<ActivationBlock> blocks((n_blocks - 1) * stride + 1);
  std::memset(blocks.data(), 0x5a, blocks.size() * sizeof(ActivationBlock));
  table.quantize_activations(x.data(), n_blocks, blocks.data(), stride);
  size_t touched = 0;
  for (size_t i = 0; i < blocks.size(); ++i)
    touched += i % stride != 0 && belle::sum_of_values(blocks[i]) != 2 * 0x5a5a;
  checks.that(touched == 0, "quantize_activations %s: wrote between its blocks", what);
  for (size_t b = 0; b < n_blocks; ++b) {
    const ActivationBlock expected = reference_block(x.data() + b * 32), &block = blocks[b * stride];
    const bool same_scale = std::isnan(expected.scale) ? std::isnan(block.scale) : block.scale == expected.scale;
    checks.that(same_scale, "quantize_activations %s block %zu: scale %g, expected %g", what, b,
                static_cast<double>(block.scale), static_cast<double>(expected.scale));
    checks.that(std::memcmp(block.values, expected.values, 32) == 0 &&
                    std::memcmp(block.sums, expected.sums, sizeof block.sums) == 0,
                "quantize_activations %s block %zu: values or sum", what, b);
    bool close = true;
    for (size_t i = 0; i < 32 && block.scale > 0.0f; ++i) {
      const double step = block.scale;
      close = close && near(block.values[i] * step, x[b * 32 + i], 0.50001 * step) && block.values[i] >= -127;
    }
    checks.that(close, "quantize_activations %s block %zu: further than half a step", what, b);
  }
}

// quantize_row is the same with one scale: rows of blocks that have the same largest magnitude get the blocks' bits.
void check_row(const KernelTable& table, std::vector<float> input, const char* what, Checks& checks) {
  const size_t n_blocks = input.size() / 32;
  float largest = 0.0f;
  for (const float x : input) largest = std::fabs(x) <= largest ? largest : std::fabs(x);
  for (size_t b = 0; b < n_blocks && std::isfinite(largest); ++b) input[b * 32 + b % 32] = largest;
  const Guarded<float> x(input);
  Guarded<int8_t> values(input.size());
  const float scale = table.quantize_row(x.data(), input.size(), values.data());
  for (size_t b = 0; b < n_blocks && std::isfinite(largest); ++b) {
    const ActivationBlock expected = reference_block(x.data() + b * 32);
    checks.that(scale == expected.scale && std::memcmp(values.data() + b * 32, expected.values, 32) == 0,
                "quantize_row %s: block %zu of %zu", what, b, n_blocks);
  }
  if (std::isfinite(largest)) return;
  bool zeros = true;
  for (size_t i = 0; i < values.size(); ++i) zeros = zeros && values[i] == 0;
  checks.that(std::isnan(scale) && zeros, "quantize_row %s: scale %g", what, static_cast<double>(scale));
}

void check_rows(const KernelTable& table, Random& random, Checks& checks) {
  for (size_t n_blocks : {1, 2, 3, 4, 17}) {
    for (float size : {1.0f, 1e-38f, 1e-31f, 1e-29f, 1e10f, 3.4e38f}) {
      check_row(table, random.floats(n_blocks * 32, -size, size), "magnitude", checks);
    }
    for (float bad : {std::numeric_limits<float>::infinity(), std::nanf("")}) {
      std::vector<float> row = random.floats(n_blocks * 32, -4.0f, 4.0f);
      row[n_blocks * 32 - 1] = bad;
      check_row(table, row, "not finite", checks);
    }
  }
}

}  // namespace

void test_quantize_activations(const KernelTable& table, Checks& checks) {
  Random random(11);
  check_rows(table, random, checks);
  for (size_t n_blocks : {1, 2, 3, 17}) {
    check_blocks(table, random.floats(n_blocks * 32, -4.0f, 4.0f), "random", checks);
  }
  for (float size : {1e-38f, 1e-31f, 1e-29f, 1e-10f, 1e10f, 3.4e38f}) {
    check_blocks(table, random.floats(64 * 32, -size, size), "magnitude", checks);
  }
  check_blocks(table, std::vector<float>(64, 0.0f), "zero", checks);
  check_blocks(table, std::vector<float>(64, -0.0f), "minus zero", checks);
  check_blocks(table, std::vector<float>(64, FLT_MAX), "largest", checks);
  check_blocks(table, std::vector<float>(64, 1e-44f), "subnormal", checks);

  std::vector<float> ties(32 * 16);  // absmax 127: the inverse is 1 and x.5 is a tie
  for (size_t i = 0; i < ties.size(); ++i) ties[i] = static_cast<float>(i % 250) * 0.5f - 62.5f;
  for (size_t b = 0; b < 16; ++b) ties[b * 32 + b] = b % 2 == 0 ? 127.0f : -127.0f;
  check_blocks(table, ties, "ties", checks);

  std::vector<float> outlier = random.floats(32 * 32, -0.1f, 0.1f);
  for (size_t b = 0; b < 32; ++b) outlier[b * 32 + b] = 5000.0f;
  check_blocks(table, outlier, "outlier", checks);

  for (float bad : {std::nanf(""), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    std::vector<float> x = random.floats(32 * 33, -1.0f, 1.0f);
    for (size_t b = 0; b < 32; ++b) x[b * 32 + b] = bad;
    check_blocks(table, x, "not finite", checks);
  }
}

}  // namespace belle_test
