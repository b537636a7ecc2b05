// All that the AMX tier is made of, for amx.cpp and its emulated twin: the wide kernels and attention of prompts on
// tiles, and for everything else the AVX-512 VNNI code.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/amx/attention.h"
#include "kernels/amx/bf16_product.h"
#include "kernels/amx/int8_product.h"
#include "kernels/amx/tier.h"
#include "kernels/amx/tiles.h"
#include "kernels/generic/products_table.h"
#include "kernels/generic/rows_table.h"
#include "kernels/table.h"

namespace belle {
namespace {

// Four independent tiles of sums, as the products use them; each dot is 16 x 16 sums of 64 products.
template <class Tier>
uint64_t tile_peak(size_t n_rounds, int32_t* sink) noexcept {
  alignas(64) uint8_t tile[kTileBytes];
  memset(tile, (*sink & 0x3f) + 1, sizeof tile);
  const TileSession<Tier> session;
  zero_sums<Tier, 2, 2>();
  for (size_t round = 0; round < n_rounds; ++round) multiply_step<Int8Dot<Tier>, 2, 2>(tile, 0, tile, 0);
  alignas(64) int32_t sums[4][kTileRows * kTileRows];
  store_sums<Tier, 2, 2>(reinterpret_cast<uint8_t*>(sums), {2 * kTileBytes, kTileBytes, kTileRowBytes});
  *sink = static_cast<int32_t>(static_cast<uint32_t>(sums[0][0]) + static_cast<uint32_t>(sums[3][0]));
  return 2 * static_cast<uint64_t>(n_rounds) * 4 * kTileRows * kTileRows * kTileRowBytes;
}

template <class Tier>
constexpr KernelTable amx_table(const char* name) noexcept {
  KernelTable table = {};
  table.name = name;
  set_rows<Tier>(table);
  set_products<Tier>(table);
  table.integer_peak = tile_peak<Tier>;
  wide_of(table, ActivationForm::kSlab256) = &kSlab256Kernels<Tier>;
  wide_of(table, ActivationForm::kBf16) = &kBf16Kernels<Tier>;
  table.wide_attention = &kTileAttention<Tier>;
  return table;
}

}  // namespace
}  // namespace belle
