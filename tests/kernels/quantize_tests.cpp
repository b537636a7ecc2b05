// Checkpoint rows to floats and to GGUF blocks: the bits of quant/quantize.cpp, whatever the values and the addresses.
#include <cmath>
#include <limits>

#include "core/half.h"
#include "quant/quantize.h"
#include "reference.h"

namespace belle_test {
namespace {

using belle::kBlockSize;
using belle::KernelTable;
using belle::WeightType;

constexpr size_t kBlocks = 7;
constexpr WeightType kSources[] = {WeightType::kF32, WeightType::kF16, WeightType::kBf16};

size_t value_bytes(WeightType source) { return source == WeightType::kF32 ? 4 : 2; }

// Every kind of block: ordinary, subnormal scales, huge, mostly zeros of both signs, ties of magnitude, codes on
// borders.
std::vector<float> values_of_kind(size_t kind, Random& random) {
  std::vector<float> x = random.floats(kBlocks * kBlockSize, -2.0f, 2.0f);
  for (float& value : x) {
    if (kind == 1) value *= 1e-39f;
    if (kind == 2) value *= 1e4f;
    if (kind == 3) value = random.below(8) == 0 ? value : (random.below(2) == 0 ? 0.0f : -0.0f);
    if (kind == 4) value = random.below(2) == 0 ? 1.5f : -1.5f;
    if (kind == 5) value = std::round(value * 8.0f) / 16.0f;
    if (kind == 6) value *= 1e-7f;
  }
  return x;
}

void check_blocks(const KernelTable& table, Checks& checks) {
  Random random(31);
  for (size_t round = 0; round < 70; ++round) {
    const Guarded<float> x(values_of_kind(round % 7, random));
    for (const CodeRange& range : kQuantizedTypes) {
      const WeightType target = range.type;
      if (table.quantize[static_cast<size_t>(target)] == nullptr) continue;  // quant/quantize.h does it
      const size_t bytes = belle::row_bytes(belle::traits_of(target), x.size());
      Guarded<uint8_t> got(bytes);
      std::vector<uint8_t> expected(bytes);
      table.quantize[static_cast<size_t>(target)](x.data(), x.size(), got.data());
      belle::quantize_row(target, x.data(), x.size(), expected.data());
      const bool same = std::memcmp(got.data(), expected.data(), bytes) == 0;
      checks.that(same, "quantize %s kind %zu", belle::traits_of(target).name, round % 7);
    }
  }
}

void check_widen(const KernelTable& table, WeightType source, size_t n, Checks& checks) {
  Random random(n + 3);
  const std::vector<float> x = random.floats(n, -70.0f, 70.0f);
  Guarded<uint8_t> data(n * value_bytes(source));  // ends at the page: misaligned for odd n
  belle::quantize_row(source, x.data(), n, data.data());
  Guarded<float> got(n);
  std::vector<float> expected(n);
  checks.that(table.widen(source, data.data(), n, got.data()), "widen n=%zu: finite values refused", n);
  belle::dequantize_row(source, data.data(), n, expected.data());
  checks.that(same_bits(got.data(), expected.data(), n), "widen n=%zu", n);
}

void check_not_finite(const KernelTable& table, WeightType source, float value, Checks& checks) {
  constexpr size_t kLength = 21;
  for (size_t at = 0; at < kLength; ++at) {
    std::vector<float> x(kLength, 0.5f);
    x[at] = value;
    Guarded<uint8_t> data(kLength * value_bytes(source));
    belle::quantize_row(source, x.data(), kLength, data.data());
    Guarded<float> got(kLength);
    checks.that(!table.widen(source, data.data(), kLength, got.data()), "widen: not finite at %zu passes", at);
  }
}

}  // namespace

void test_quantize(const KernelTable& table, Checks& checks) {
  check_blocks(table, checks);
  for (const WeightType source : kSources) {
    for (size_t n = 1; n <= 40; ++n) check_widen(table, source, n, checks);
    check_widen(table, source, 4096, checks);
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    for (const float value : {kInfinity, -kInfinity, std::nanf("")}) check_not_finite(table, source, value, checks);
  }
}

}  // namespace belle_test
