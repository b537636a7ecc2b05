// Quantized panels times many tokens on the 256-bit tiers: a chunk of a panel is expanded once into the first-level
// cache, then every tile of a few tokens runs over it with the integer sums of all 16 rows in registers.
//
// A Format (avx2.cpp, avxvnni.cpp) gives expand, first_dots, add_dots and exact_dots. What happens to one row and
// token, and in which order, is the same as in the one-token kernel of avx256.h, so the bits are the same too. Included
// by avx256.h; everything stays inside the including file's anonymous namespace.
#pragma once

#include "kernels/wide_shape.h"

namespace belle {
namespace {

constexpr size_t kChunkBlocks = 16;  // 512 columns: 8 KB of codes beside a tile's activations
constexpr size_t kChunkTokens = 4;  // at most; 3 fill the registers, but 3, 3, 3, 3, 3 and 1 take longer than 4 times 4
constexpr size_t kLineBytes = 64;

/// Up to 16 blocks of a panel, ready to multiply.
struct Chunk {
  __m256i codes[kChunkBlocks][kGroups][kHalves];  // unsigned or signed bytes as the format wants them
  Vector d[kChunkBlocks][kHalves];
  Vector m[kChunkBlocks][kHalves];  // formats with a minimum only
};

/// A chunk's place in the product.
struct ChunkPlace {
  const PanelMatmul* matmul;
  size_t first_row;
  size_t n_rows;  // 1 .. 16
  size_t first_block;
  size_t n_blocks;  // 1 .. kChunkBlocks
};

// Keeps a value in its register, and the order of the source: left alone, GCC computes all products of a block first
// and spills them, or loads codes anew for each token.
inline void settle(__m256i& value) noexcept {
#if defined(__GNUC__)
  asm volatile("" : "+x"(value));
#else
  (void)value;
#endif
}

template <class Format>
inline void expand_chunk(const uint8_t* units, size_t n_blocks, Chunk& chunk) noexcept {
  for (size_t b = 0; b < n_blocks; ++b, units += Format::kUnitBytes) {
    const uint16_t* halves = reinterpret_cast<const uint16_t*>(units + Format::kCodeBytes);  // d, then m
    for (size_t half = 0; half < kHalves; ++half) {
      __m256i codes[kGroups];
      Format::expand(units + half * kHalfBytes, codes);
      for (size_t g = 0; g < kGroups; ++g) chunk.codes[b][g][half] = codes[g];
      chunk.d[b][half] = load(halves + half * kLanes, AllLanes{});
      if constexpr (Format::kHasMinimum) chunk.m[b][half] = load(halves + kPanelRows + half * kLanes, AllLanes{});
    }
  }
}

// The float sums of earlier chunks wait in y.
inline Vector load_rows(const float* y, size_t n_rows, size_t half) noexcept {
  const size_t row = half * kLanes;
  if (n_rows >= row + kLanes) return load(y + row, AllLanes{});
  return n_rows > row ? load(y + row, FirstLanes{n_rows - row}) : zeros();
}

template <class Format, size_t tokens>
inline void run_chunk(const ChunkPlace& place, const Chunk& chunk, size_t first_token) noexcept {
  const PanelMatmul& m = *place.matmul;
  const ActivationRow row = activation_row(m.n_tokens, m.k / kBlockSize, first_token);
  const ActivationBlock* activations = m.blocks + row.first + place.first_block * row.stride;
  float* y = m.y + first_token * m.y_stride + place.first_row;
  Vector sums[tokens][kHalves];
  for (size_t t = 0; t < tokens; ++t) {
    for (size_t half = 0; half < kHalves; ++half) {
      sums[t][half] = place.first_block == 0 ? zeros() : load_rows(y + t * m.y_stride, place.n_rows, half);
    }
  }
  for (size_t b = 0; b < place.n_blocks; ++b, activations += row.stride) {
    __m256i dots[tokens][kHalves];
    for (size_t t = 0; t < tokens; ++t) {
      dots[t][0] = dots[t][1] = Format::first_dots(activations[t].sum);
    }
    for (size_t g = 0; g < kGroups; ++g) {
      __m256i codes[kHalves] = {chunk.codes[b][g][0], chunk.codes[b][g][1]};
      for (size_t half = 0; half < kHalves; ++half) settle(codes[half]);
      for (size_t t = 0; t < tokens; ++t) {
        const __m256i columns = broadcast_group(activations[t].values + 4 * g);
        for (size_t half = 0; half < kHalves; ++half) {
          dots[t][half] = Format::add_dots(dots[t][half], codes[half], columns);
          settle(dots[t][half]);
        }
      }
    }
    for (size_t t = 0; t < tokens; ++t) {
      const ActivationBlock& block = activations[t];
      for (size_t half = 0; half < kHalves; ++half) {
        const Vector exact = _mm256_cvtepi32_ps(Format::exact_dots(dots[t][half]));
        sums[t][half] = multiply_add(exact, multiply(chunk.d[b][half], broadcast(block.scale)), sums[t][half]);
        if constexpr (Format::kHasMinimum) {
          const Vector weighted = broadcast(block.scale * static_cast<float>(block.sum));
          sums[t][half] = multiply_add(chunk.m[b][half], weighted, sums[t][half]);
        }
      }
    }
  }
  for (size_t t = 0; t < tokens; ++t) store_rows(y + t * m.y_stride, place.n_rows, sums[t]);
}

template <class Format, size_t tokens = kChunkTokens>
inline void run_tile(const ChunkPlace& place, const Chunk& chunk, size_t token, size_t n_tokens) noexcept {
  if constexpr (tokens > 0) {
    if (n_tokens == tokens) return run_chunk<Format, tokens>(place, chunk, token);
    run_tile<Format, tokens - 1>(place, chunk, token, n_tokens);
  }
}

inline size_t tiles_for(size_t n_tokens) noexcept { return quotient_up(n_tokens, kChunkTokens); }

/// All tokens of [begin, end) against one chunk, while the units of the next one are on their way.
template <class Format>
inline void run_tokens_of_chunk(const ChunkPlace& place, const Chunk& chunk, size_t begin, size_t end,
                                const uint8_t* next_units) noexcept {
  constexpr size_t kChunkLines = kChunkBlocks * Format::kUnitBytes / kLineBytes;
  const size_t n_tiles = (end - begin) / kTokenGroup * tiles_for(kTokenGroup) + tiles_for((end - begin) % kTokenGroup);
  const size_t lines_per_tile = (kChunkLines + n_tiles - 1) / n_tiles;
  uintptr_t line = reinterpret_cast<uintptr_t>(next_units);  // no pointer: may pass the buffer's end
  for (size_t token = begin; token < end;) {
    for (size_t i = 0; i < lines_per_tile; ++i, line += kLineBytes) {
      _mm_prefetch(reinterpret_cast<const char*>(line), _MM_HINT_T0);
    }
    const size_t left = tokens_left_in_group(end, token), n_tokens = quotient_up(left, tiles_for(left));
    run_tile<Format>(place, chunk, token, n_tokens);
    token += n_tokens;
  }
}

/// Every panel with a group of tokens whose activations stay in the second-level cache, then the next group.
template <class Format>
inline void chunked_matmul(const PanelMatmul& matmul) noexcept {
  const size_t k_blocks = matmul.k / kBlockSize;
  const size_t group = (kCachedTokenBytes / (matmul.k * kTokenGroup + 1) + 1) * kTokenGroup;
  Chunk chunk;
  for (size_t token = 0; token < matmul.n_tokens; token += group) {
    const size_t end = matmul.n_tokens - token < group ? matmul.n_tokens : token + group;
    const uint8_t* units = matmul.panels;
    for (size_t row = 0; row < matmul.n_rows; row += kPanelRows) {
      const size_t rows_left = matmul.n_rows - row;
      for (size_t block = 0; block < k_blocks; block += kChunkBlocks) {
        const size_t n_blocks = k_blocks - block < kChunkBlocks ? k_blocks - block : kChunkBlocks;
        expand_chunk<Format>(units, n_blocks, chunk);
        units += n_blocks * Format::kUnitBytes;
        const ChunkPlace place{&matmul, row, rows_left < kPanelRows ? rows_left : kPanelRows, block, n_blocks};
        run_tokens_of_chunk<Format>(place, chunk, token, end, units);
      }
    }
  }
}

}  // namespace
}  // namespace belle
