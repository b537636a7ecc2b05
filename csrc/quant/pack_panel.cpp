#include <cstring>

#include "quant/pack_planes.h"
#include "quant/pack_scales.h"
#include "quant/panels.h"

namespace belle {
namespace {

// How the blocks of a type become a unit. `codes` takes the blocks of four rows and the place of their first bytes,
// `scales` the blocks of all 16 and the place behind the codes; the half-precision scales follow.

template <class Block, size_t n_bytes>
struct CodesAsTheyAre {
  static constexpr size_t kColumns = kBlockSize, kCodeBytes = kPanelRows * n_bytes, kScaleBytes = 0;
  static void codes(const uint8_t* const* blocks, uint8_t* unit) noexcept {
    for (size_t i = 0; i < n_bytes; i += 16) {
      pack_16_bytes(blocks, offsetof(Block, qs) + i, unit + i * kPanelRows);
    }
  }
  static void scales(const uint8_t* const*, uint8_t*) noexcept {}
};

template <class Block>
struct FiveBits {
  static constexpr size_t kColumns = kBlockSize, kCodeBytes = kNibblePlane + kBitPlane, kScaleBytes = 0;
  static void codes(const uint8_t* const* blocks, uint8_t* unit) noexcept {
    pack_16_bytes(blocks, offsetof(Block, qs), unit);
    pack_word_of_bits(blocks, offsetof(Block, qh), unit + kNibblePlane);
  }
  static void scales(const uint8_t* const*, uint8_t*) noexcept {}
};

constexpr size_t kParts = kSuperBlockSize / kBlockSize;

struct Q2K {
  static constexpr size_t kColumns = kSuperBlockSize, kPart = kPairPlane, kCodeBytes = kParts * kPart;
  static constexpr size_t kScaleBytes = sizeof(BlockQ2_K::scales) * kPanelRows;
  static void codes(const uint8_t* const* blocks, uint8_t* unit) noexcept {
    for (size_t n = 0; n < 2; ++n) {
      pack_pairs(blocks, offsetof(BlockQ2_K, qs) + n * 32, unit + n * 4 * kPart, kPart);
    }
  }
  static void scales(const uint8_t* const* blocks, uint8_t* out) noexcept {
    pack_bytes(blocks, offsetof(BlockQ2_K, scales), sizeof(BlockQ2_K::scales), out);
  }
};

struct Q3K {
  static constexpr size_t kColumns = kSuperBlockSize, kPart = kPairPlane + kBitPlane, kCodeBytes = kParts * kPart;
  static constexpr size_t kScaleBytes = sizeof(BlockQ3_K::scales) * kPanelRows;
  static void codes(const uint8_t* const* blocks, uint8_t* unit) noexcept {
    for (size_t n = 0; n < 2; ++n) {
      pack_pairs(blocks, offsetof(BlockQ3_K, qs) + n * 32, unit + n * 4 * kPart, kPart);
    }
    pack_bits(blocks, offsetof(BlockQ3_K, hmask), unit + kPairPlane, kPart);
  }
  static void scales(const uint8_t* const* blocks, uint8_t* out) noexcept {  // the file has this order already
    pack_bytes(blocks, offsetof(BlockQ3_K, scales), sizeof(BlockQ3_K::scales), out);
  }
};

// q4_k's nibbles, and those of q5_k
template <class Block, size_t part_bytes>
void pack_nibbles_of_neighbours(const uint8_t* const* blocks, uint8_t* unit) noexcept {
  for (size_t n = 0; n < kParts / 2; ++n) {
    uint8_t* plane = unit + 2 * n * part_bytes;
    pack_nibbles(blocks, offsetof(Block, qs) + n * 32, plane, plane + part_bytes);
  }
}

struct Q4K {
  static constexpr size_t kColumns = kSuperBlockSize, kPart = kNibblePlane, kCodeBytes = kParts * kPart;
  static constexpr size_t kScaleBytes = sizeof(BlockQ4_K::scales) * kPanelRows;
  static void codes(const uint8_t* const* blocks, uint8_t* unit) noexcept {
    pack_nibbles_of_neighbours<BlockQ4_K, kPart>(blocks, unit);
  }
  static void scales(const uint8_t* const* blocks, uint8_t* out) noexcept {
    pack_six_bit_pairs(blocks, offsetof(BlockQ4_K, scales), out);
  }
};

struct Q5K {
  static constexpr size_t kColumns = kSuperBlockSize, kPart = kNibblePlane + kBitPlane, kCodeBytes = kParts * kPart;
  static constexpr size_t kScaleBytes = sizeof(BlockQ5_K::scales) * kPanelRows;
  static void codes(const uint8_t* const* blocks, uint8_t* unit) noexcept {
    pack_nibbles_of_neighbours<BlockQ5_K, kPart>(blocks, unit);
    pack_bits(blocks, offsetof(BlockQ5_K, qh), unit + kNibblePlane, kPart);
  }
  static void scales(const uint8_t* const* blocks, uint8_t* out) noexcept {
    pack_six_bit_pairs(blocks, offsetof(BlockQ5_K, scales), out);
  }
};

struct Q6K {
  static constexpr size_t kColumns = kSuperBlockSize, kPart = kNibblePlane + kPairPlane, kCodeBytes = kParts * kPart;
  static constexpr size_t kScaleBytes = sizeof(BlockQ6_K::scales) * kPanelRows;
  static void codes(const uint8_t* const* blocks, uint8_t* unit) noexcept {
    for (size_t n = 0; n < 2; ++n, unit += 4 * kPart) {
      for (size_t h = 0; h < 2; ++h) {
        pack_nibbles(blocks, offsetof(BlockQ6_K, ql) + n * 64 + h * 32, unit + h * kPart, unit + (h + 2) * kPart);
      }
      pack_pairs(blocks, offsetof(BlockQ6_K, qh) + n * 32, unit + kNibblePlane, kPart);
    }
  }
  static void scales(const uint8_t* const* blocks, uint8_t* out) noexcept {
    pack_bytes(blocks, offsetof(BlockQ6_K, scales), sizeof(BlockQ6_K::scales), out);
  }
};

struct IQ4XS {
  static constexpr size_t kColumns = kSuperBlockSize, kPart = kNibblePlane, kCodeBytes = kParts * kPart;
  static constexpr size_t kScaleBytes = (sizeof(BlockIQ4_XS::scales_l) + sizeof(BlockIQ4_XS::scales_h)) * kPanelRows;
  static void codes(const uint8_t* const* blocks, uint8_t* unit) noexcept {
    for (size_t s = 0; s < kParts; ++s) pack_16_bytes(blocks, offsetof(BlockIQ4_XS, qs) + s * 16, unit + s * kPart);
  }
  static void scales(const uint8_t* const* blocks, uint8_t* out) noexcept {
    pack_six_bits(blocks, offsetof(BlockIQ4_XS, scales_l), offsetof(BlockIQ4_XS, scales_h), out);
  }
};

constexpr uint8_t kZeroBlock[sizeof(BlockQ6_K)] = {};  // of the rows that a panel lacks; the largest block

// Unit after unit, so that the panel is written in order.
template <class Unit>
void pack_units(const TypeTraits& traits, const uint8_t* rows, size_t n_rows, size_t k, uint8_t* panel) noexcept {
  const size_t n_bytes = row_bytes(traits, k);
  const uint8_t* blocks[kPanelRows];
  for (size_t r = 0; r < kPanelRows; ++r) blocks[r] = r < n_rows ? rows + r * n_bytes : kZeroBlock;
  for (size_t column = 0; column < k; column += Unit::kColumns) {
    for (size_t r = 0; r < kPanelRows; r += kWordRows) Unit::codes(blocks + r, panel + r * sizeof(uint32_t));
    Unit::scales(blocks, panel + Unit::kCodeBytes);
    panel += Unit::kCodeBytes + Unit::kScaleBytes;
    for (size_t s = 0; s < traits.n_scales; ++s) {
      for (size_t r = 0; r < kPanelRows; ++r, panel += 2) std::memcpy(panel, blocks[r] + traits.scale_offsets[s], 2);
    }
    for (size_t r = 0; r < n_rows; ++r) blocks[r] += traits.block_bytes;
  }
}

template <typename Element>
void pack_columns(const uint8_t* rows, size_t n_rows, size_t k, uint8_t* panel) noexcept {
  if (n_rows < kPanelRows) std::memset(panel, 0, kPanelRows * k * sizeof(Element));
  for (size_t r = 0; r < n_rows; ++r) {
    for (size_t col = 0; col < k; ++col) {
      std::memcpy(panel + (col * kPanelRows + r) * sizeof(Element), rows + (r * k + col) * sizeof(Element),
                  sizeof(Element));
    }
  }
}

}  // namespace

void pack_panel(WeightType type, const uint8_t* rows, size_t n_rows, size_t k, uint8_t* panel) noexcept {
  const TypeTraits& traits = traits_of(type);
  const auto pack = [&](auto unit) noexcept { pack_units<decltype(unit)>(traits, rows, n_rows, k, panel); };
  switch (type) {
    case WeightType::kF32: return pack_columns<float>(rows, n_rows, k, panel);
    case WeightType::kF16:
    case WeightType::kBf16: return pack_columns<uint16_t>(rows, n_rows, k, panel);
    case WeightType::kQ4_0: return pack(CodesAsTheyAre<BlockQ4_0, sizeof(BlockQ4_0::qs)>{});
    case WeightType::kQ4_1: return pack(CodesAsTheyAre<BlockQ4_1, sizeof(BlockQ4_1::qs)>{});
    case WeightType::kQ8_0: return pack(CodesAsTheyAre<BlockQ8_0, sizeof(BlockQ8_0::qs)>{});
    case WeightType::kIQ4_NL: return pack(CodesAsTheyAre<BlockIQ4_NL, sizeof(BlockIQ4_NL::qs)>{});
    case WeightType::kQ5_0: return pack(FiveBits<BlockQ5_0>{});
    case WeightType::kQ5_1: return pack(FiveBits<BlockQ5_1>{});
    case WeightType::kQ2_K: return pack(Q2K{});
    case WeightType::kQ3_K: return pack(Q3K{});
    case WeightType::kQ4_K: return pack(Q4K{});
    case WeightType::kQ5_K: return pack(Q5K{});
    case WeightType::kQ6_K: return pack(Q6K{});
    case WeightType::kIQ4_XS: return pack(IQ4XS{});
  }
}

}  // namespace belle
