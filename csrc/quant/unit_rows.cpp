#include "quant/unit_rows.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

#include "core/half.h"
#include "core/load.h"

namespace belle {
namespace {

constexpr size_t kParts = kSuperBlockSize / kBlockSize, kSubs = kSuperBlockSize / 16;

// Reads one row of a unit, plane after plane.
class RowReader {
 public:
  RowReader(const uint8_t* unit, size_t row) noexcept : at_(unit), row_(row) {}

  void nibbles(uint8_t* codes) noexcept {
    uint8_t bytes[16];
    words(4, bytes);
    for (size_t i = 0; i < 16; ++i) codes[i] = bytes[i] & 0x0f;
    for (size_t i = 0; i < 16; ++i) codes[i + 16] = bytes[i] >> 4;
  }
  /// Adds two bits to each code, from `shift` on.
  void pairs(uint8_t* codes, int shift) noexcept {
    uint8_t bytes[8];
    words(2, bytes);
    for (size_t i = 0; i < kBlockSize; ++i) {
      const uint8_t pair = (bytes[i / 16 * 4 + i % 4] >> (i % 16 / 4 * 2)) & 3;
      codes[i] = static_cast<uint8_t>(codes[i] | (pair << shift));
    }
  }
  /// Adds one bit.
  void bits(uint8_t* codes, int shift) noexcept {
    uint8_t bytes[4];
    words(1, bytes);
    for (size_t i = 0; i < kBlockSize; ++i) {
      const uint8_t bit = (bytes[i % 4] >> (i / 4)) & 1;
      codes[i] = static_cast<uint8_t>(codes[i] | (bit << shift));
    }
  }
  void bytes(uint8_t* codes) noexcept { words(8, codes); }

  /// A byte of the scale area.
  int byte() noexcept { return next<uint8_t>(); }
  float half() noexcept { return half_to_float(next<uint16_t>()); }

 private:
  template <class Value>
  Value next() noexcept {
    const Value value = load<Value>(at_ + row_ * sizeof(Value));
    at_ += kPanelRows * sizeof(Value);
    return value;
  }
  void words(size_t n, uint8_t* bytes) noexcept {
    for (size_t i = 0; i < n; ++i) {
      const uint32_t word = next<uint32_t>();
      std::memcpy(bytes + i * sizeof word, &word, sizeof word);
    }
  }

  const uint8_t* at_;
  size_t row_;
};

void set_ones(UnitRow& out, RowReader& reader, bool has_minimum) noexcept {
  out.scales[0] = out.minima[0] = 1;
  out.d = reader.half();
  if (has_minimum) out.m = reader.half();
}

void read_nibbles(const uint8_t* unit, size_t row, UnitRow& out) noexcept {
  RowReader reader(unit, row);
  reader.nibbles(out.codes);
  set_ones(out, reader, false);
}

void read_q4_1(const uint8_t* unit, size_t row, UnitRow& out) noexcept {
  RowReader reader(unit, row);
  reader.nibbles(out.codes);
  set_ones(out, reader, true);
}

void read_q8_0(const uint8_t* unit, size_t row, UnitRow& out) noexcept {
  RowReader reader(unit, row);
  reader.bytes(out.codes);
  for (size_t i = 0; i < kBlockSize; ++i) out.codes[i] ^= 0x80;  // from -128 … 127 to 0 … 255
  set_ones(out, reader, false);
}

template <bool has_minimum>
void read_five_bits(const uint8_t* unit, size_t row, UnitRow& out) noexcept {
  RowReader reader(unit, row);
  reader.nibbles(out.codes);
  reader.bits(out.codes, 4);
  set_ones(out, reader, has_minimum);
}

// Scales and minima of six bits each, then d and dmin.
void read_six_bit_pairs(RowReader& reader, UnitRow& out) noexcept {
  for (size_t s = 0; s < kParts; ++s) {
    const int low = reader.byte();
    out.scales[s] = static_cast<int16_t>(low & 0x0f);
    out.minima[s] = static_cast<int16_t>(low >> 4);
  }
  for (size_t p = 0; p < kParts / 2; ++p) {
    const int high = reader.byte();
    for (const size_t s : {p, p + kParts / 2}) {
      const int shift = s < kParts / 2 ? 0 : 4;
      out.scales[s] = static_cast<int16_t>(out.scales[s] | (((high >> shift) & 3) << 4));
      out.minima[s] = static_cast<int16_t>(out.minima[s] | (((high >> (shift + 2)) & 3) << 4));
    }
  }
  out.d = reader.half();
  out.m = reader.half();
}

// n scales of six bits, less 32, then d. Scales i and i + n / 2 share the byte of their low bits; the upper bits of
// four scales `high_bytes` apart share one.
void read_six_bits(RowReader& reader, size_t n, size_t high_bytes, UnitRow& out) noexcept {
  for (size_t i = 0; i < n / 2; ++i) {
    const int low = reader.byte();
    out.scales[i] = static_cast<int16_t>(low & 0x0f);
    out.scales[i + n / 2] = static_cast<int16_t>(low >> 4);
  }
  for (size_t p = 0; p < high_bytes; ++p) {
    const int high = reader.byte();
    for (size_t j = 0; j < 4; ++j) {
      int16_t& scale = out.scales[p + j * high_bytes];
      scale = static_cast<int16_t>((scale | (((high >> (2 * j)) & 3) << 4)) - 32);
    }
  }
  out.d = reader.half();
}

void read_q2_k(const uint8_t* unit, size_t row, UnitRow& out) noexcept {
  RowReader reader(unit, row);
  std::fill_n(out.codes, kSuperBlockSize, uint8_t{0});
  for (size_t s = 0; s < kParts; ++s) reader.pairs(out.codes + s * kBlockSize, 0);
  for (size_t sub = 0; sub < kSubs; ++sub) {
    const int both = reader.byte();
    out.scales[sub] = static_cast<int16_t>(both & 0x0f);
    out.minima[sub] = static_cast<int16_t>(both >> 4);
  }
  out.d = reader.half();
  out.m = reader.half();
}

void read_q3_k(const uint8_t* unit, size_t row, UnitRow& out) noexcept {
  RowReader reader(unit, row);
  std::fill_n(out.codes, kSuperBlockSize, uint8_t{0});
  for (size_t s = 0; s < kParts; ++s) {
    reader.pairs(out.codes + s * kBlockSize, 0);
    reader.bits(out.codes + s * kBlockSize, 2);
  }
  read_six_bits(reader, kSubs, 4, out);
}

void read_q4_k(const uint8_t* unit, size_t row, UnitRow& out) noexcept {
  RowReader reader(unit, row);
  for (size_t s = 0; s < kParts; ++s) reader.nibbles(out.codes + s * kBlockSize);
  read_six_bit_pairs(reader, out);
}

void read_q5_k(const uint8_t* unit, size_t row, UnitRow& out) noexcept {
  RowReader reader(unit, row);
  for (size_t s = 0; s < kParts; ++s) {
    reader.nibbles(out.codes + s * kBlockSize);
    reader.bits(out.codes + s * kBlockSize, 4);
  }
  read_six_bit_pairs(reader, out);
}

void read_q6_k(const uint8_t* unit, size_t row, UnitRow& out) noexcept {
  RowReader reader(unit, row);
  for (size_t s = 0; s < kParts; ++s) {
    reader.nibbles(out.codes + s * kBlockSize);
    reader.pairs(out.codes + s * kBlockSize, 4);
  }
  for (size_t sub = 0; sub < kSubs; ++sub) {
    const int byte = reader.byte();
    out.scales[sub] = static_cast<int16_t>(byte < 128 ? byte : byte - 256);
  }
  out.d = reader.half();
}

void read_iq4_xs(const uint8_t* unit, size_t row, UnitRow& out) noexcept {
  RowReader reader(unit, row);
  for (size_t s = 0; s < kParts; ++s) reader.nibbles(out.codes + s * kBlockSize);
  read_six_bits(reader, kParts, 2, out);
}

}  // namespace

UnitKind unit_kind(WeightType type) noexcept {
  switch (type) {
    case WeightType::kF32:
    case WeightType::kF16:
    case WeightType::kBf16: break;
    case WeightType::kQ4_0: return {kBlockSize, kBlockSize, 8, Minimum::kNone, false, read_nibbles};
    case WeightType::kQ4_1: return {kBlockSize, kBlockSize, 0, Minimum::kAdded, false, read_q4_1};
    case WeightType::kQ5_0: return {kBlockSize, kBlockSize, 16, Minimum::kNone, false, read_five_bits<false>};
    case WeightType::kQ5_1: return {kBlockSize, kBlockSize, 0, Minimum::kAdded, false, read_five_bits<true>};
    case WeightType::kQ8_0: return {kBlockSize, kBlockSize, 128, Minimum::kNone, false, read_q8_0};
    case WeightType::kIQ4_NL: return {kBlockSize, kBlockSize, 0, Minimum::kNone, true, read_nibbles};
    case WeightType::kQ2_K: return {kSuperBlockSize, 16, 0, Minimum::kSubtracted, false, read_q2_k};
    case WeightType::kQ3_K: return {kSuperBlockSize, 16, 4, Minimum::kNone, false, read_q3_k};
    case WeightType::kQ4_K: return {kSuperBlockSize, kBlockSize, 0, Minimum::kSubtracted, false, read_q4_k};
    case WeightType::kQ5_K: return {kSuperBlockSize, kBlockSize, 0, Minimum::kSubtracted, false, read_q5_k};
    case WeightType::kQ6_K: return {kSuperBlockSize, 16, 32, Minimum::kNone, false, read_q6_k};
    case WeightType::kIQ4_XS: return {kSuperBlockSize, kBlockSize, 0, Minimum::kNone, true, read_iq4_xs};
  }
  std::abort();
}

}  // namespace belle
