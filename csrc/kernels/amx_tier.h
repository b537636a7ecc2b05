// All that the AMX tier is made of, for amx.cpp and its emulated twin: the wide kernels and attention of prompts on
// tiles, and for everything else the AVX-512 VNNI code.
#pragma once

#include "kernels/avx512.h"
#include "kernels/avx512_formats.h"

#include "kernels/avx512_words.h"

#include "kernels/slab_expand.h"

#include "kernels/amx_pack.h"

#include "kernels/amx_expand.h"

#include "kernels/wide_attention.h"

#include "kernels/amx_attention.h"

#include "kernels/wide_matmul.h"

#include "kernels/amx_few.h"

#include "kernels/amx_chunks.h"

#include "kernels/amx_slabs.h"
#include "kernels/vector_table.h"

namespace belle {
namespace {

// Four independent tiles of sums, as the products use them; each dot is 16 x 16 sums of 64 products.
uint64_t tile_peak(size_t n_rounds, int32_t* sink) noexcept {
  alignas(64) uint8_t tile[kTileBytes];
  memset(tile, (*sink & 0x3f) + 1, sizeof tile);
  const TileSession session;
  zero_sums<2, 2>();
  for (size_t round = 0; round < n_rounds; ++round) multiply_step<Int8Dot, 2, 2>(tile, 0, tile, 0);
  alignas(64) int32_t sums[4][kTileRows * kTileRows];
  store_sums<2, 2>(reinterpret_cast<uint8_t*>(sums), {2 * kTileBytes, kTileBytes, kTileRowBytes});
  *sink = static_cast<int32_t>(static_cast<uint32_t>(sums[0][0]) + static_cast<uint32_t>(sums[3][0]));
  return 2 * static_cast<uint64_t>(n_rounds) * 4 * kTileRows * kTileRows * kTileRowBytes;
}

constexpr KernelTable amx_table(const char* name) noexcept {
  KernelTable table =
      table_of<Q4_0Format, Q4_1Format, Q8_0Format, Multiply>(name, &kSlab256Kernels, &kBf16Kernels, &kWideAttention);
  table.integer_peak = tile_peak;
  return table;
}

}  // namespace
}  // namespace belle
