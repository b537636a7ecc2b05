// Checkpoint rows to floats and to GGUF blocks: the bits of quantize_row and search_row, whatever the values and the
// addresses.
#include <cmath>
#include <limits>

#include "core/half.h"
#include "quant/quantize.h"
#include "quant/search_row.h"
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
    for (size_t type = 0; type < belle::kWeightTypeCount; ++type) {
      const belle::TypeTraits& traits = belle::traits_of(static_cast<WeightType>(type));
      if (table.quantize[type] == nullptr) continue;
      const size_t bytes = belle::row_bytes(traits, x.size());
      Guarded<uint8_t> got(bytes);
      std::vector<uint8_t> expected(bytes);
      table.quantize[type](x.data(), x.size(), got.data());
      belle::quantize_row(traits.type, x.data(), x.size(), expected.data());
      const bool same = std::memcmp(got.data(), expected.data(), bytes) == 0;
      checks.that(same, "quantize %s kind %zu", traits.name, round % 7);
    }
  }
}

// With and without an importance of each column.
void check_searches(const KernelTable& table, Checks& checks) {
  Random random(32);
  constexpr size_t kSuperBlock = belle::kSuperBlockSize;
  for (size_t round = 0; round < 14; ++round) {
    std::vector<float> values;
    while (values.size() < 2 * kSuperBlock) {
      for (const float value : values_of_kind(round % 7, random)) values.push_back(value);
    }
    for (size_t type = 0; type < belle::kWeightTypeCount; ++type) {
      const belle::TypeTraits& traits = belle::traits_of(static_cast<WeightType>(type));
      if (!traits.quantized) continue;
      const size_t n = traits.block_size == kBlockSize ? kSuperBlock + 3 * kBlockSize : 2 * kSuperBlock;
      const Guarded<float> x(std::vector<float>(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(n)));
      const Guarded<float> importance(random.floats(n, 0.0f, 3.0f));
      for (const float* columns : {static_cast<const float*>(nullptr), importance.data()}) {
        Guarded<uint8_t> got(belle::row_bytes(traits, n));
        std::vector<uint8_t> expected(got.size());
        table.search(traits.type, x.data(), columns, n, got.data());
        belle::search_row(traits.type, x.data(), columns, n, expected.data());
        const bool same = std::memcmp(got.data(), expected.data(), got.size()) == 0;
        checks.that(same, "search %s kind %zu%s", traits.name, round % 7, columns != nullptr ? " importance" : "");
      }
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
  check_searches(table, checks);
  for (const WeightType source : kSources) {
    for (size_t n = 1; n <= 40; ++n) check_widen(table, source, n, checks);
    check_widen(table, source, 4096, checks);
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    for (const float value : {kInfinity, -kInfinity, std::nanf("")}) check_not_finite(table, source, value, checks);
  }
}

}  // namespace belle_test
