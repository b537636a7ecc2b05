// The 512-bit kernels: a panel's 16 rows are the 16 lanes of a vector, activations come in by broadcast. A Format
// expands a block's codes to unsigned bytes (see avx512vnni.cpp). Everything stays inside the including file's
// anonymous namespace.
#pragma once

#include <immintrin.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/isa.h"

#include "kernels/activation_order.h"
#include "kernels/avx512_vector.h"
#include "kernels/compiler.h"
#include "kernels/token_tiles.h"
#include "kernels/vector_attention.h"
#include "kernels/vector_rows.h"

namespace belle {
namespace {

constexpr size_t kMaxTokens = kTokenGroup;  // tokens per tile: 16 sums, 8 vectors of codes, some temporaries
constexpr size_t kMaxFloatTokens = 8;       // the same for float weights: sums of even and of odd columns
constexpr size_t kGroups = 8;               // groups of 4 neighbouring columns in a block of 32

using Bytes = __m512i;

inline __m512i load_bytes(const uint8_t* from) noexcept { return _mm512_loadu_si512(from); }

inline __m512i broadcast_group(const int8_t* values) noexcept {
  int32_t four_values;
  memcpy(&four_values, values, sizeof four_values);
  return _mm512_set1_epi32(four_values);
}

// 16 sums of 32 bits. For GCC a type of its own: as __m512i, eight lanes of 64 bits to it, the sums of a loop would be
// copied from register to register and to memory with every product.
#if defined(__GNUC__)
typedef int32_t Sums32 __attribute__((vector_size(64)));
#else
using Sums32 = __m512i;
#endif

inline Sums32 load_sums(const int32_t* from) noexcept { return (Sums32)_mm512_loadu_si512(from); }
inline void store_sums(int32_t* to, Sums32 sums) noexcept { _mm512_storeu_si512(to, (__m512i)sums); }
inline Sums32 negative(Sums32 sums) noexcept { return (Sums32)_mm512_sub_epi32(_mm512_setzero_si512(), (__m512i)sums); }
inline Vector to_floats(Sums32 sums) noexcept { return _mm512_cvtepi32_ps((__m512i)sums); }

/// In each lane of 32 bits the bits of `mask` from `first_bit` on, as an unsigned number.
inline Vector bits_as_floats(Bytes lanes, size_t first_bit, int32_t mask) noexcept {
  const __m512i shifted = _mm512_srl_epi32(lanes, _mm_cvtsi32_si128(static_cast<int>(first_bit)));
  return _mm512_cvtepi32_ps(_mm512_and_si512(shifted, _mm512_set1_epi32(mask)));
}
/// In each lane of 32 bits one byte, as a signed number.
inline Vector byte_as_floats(Bytes lanes, size_t byte) noexcept {
  const __m512i highest = _mm512_sll_epi32(lanes, _mm_cvtsi32_si128(static_cast<int>(24 - 8 * byte)));
  return _mm512_cvtepi32_ps(_mm512_srai_epi32(highest, 24));
}

// sums + the products of four unsigned and four signed bytes in each lane
inline Sums32 add_products(Sums32 sums, __m512i unsigned_bytes, __m512i signed_bytes) noexcept {
  return (Sums32)_mm512_dpbusd_epi32((__m512i)sums, unsigned_bytes, signed_bytes);
}

// [16 rows] exact dots of a block with one token's 32 activations; two chains halve the latency.
inline Vector block_dots(const __m512i* codes, const int8_t* values, int32_t start) noexcept {
  Sums32 even = (Sums32)_mm512_set1_epi32(start), odd = (Sums32)_mm512_setzero_si512();
  BELLE_UNROLL for (size_t g = 0; g < kGroups; g += 2) {
    even = add_products(even, codes[g], broadcast_group(values + 4 * g));
    odd = add_products(odd, codes[g + 1], broadcast_group(values + 4 * g + 4));
  }
  return _mm512_cvtepi32_ps(_mm512_add_epi32((__m512i)even, (__m512i)odd));
}

template <size_t tokens>
inline void store_tile(const TileArgs& args, const Vector* sums) noexcept {
  const __mmask16 rows = static_cast<__mmask16>((1u << args.n_rows) - 1u);
  float* y = args.matmul->y + args.first_token * args.matmul->y_stride + args.first_row;
  for (size_t t = 0; t < tokens; ++t) _mm512_mask_storeu_ps(y + t * args.matmul->y_stride, rows, sums[t]);
}

template <class Format>
struct Quantized {
  template <size_t tokens>
  struct Tile {
    static void run(const TileArgs& args) noexcept {
      const size_t n_blocks = args.matmul->k / kBlockSize;
      const ActivationRow row = activation_row(args.matmul->n_tokens, n_blocks, args.first_token);
      const ActivationBlock* activations = args.matmul->blocks + row.first;  // of the tile's first token
      Vector sums[tokens];
      for (size_t t = 0; t < tokens; ++t) sums[t] = zeros();
      for (size_t block = 0; block < n_blocks; ++block, activations += row.stride) {
        const uint8_t* unit = args.panel + block * Format::kUnitBytes;
        prefetch_unit<Format::kUnitBytes>(unit, args.matmul->read_ahead);
        __m512i codes[kGroups];
        Format::expand(unit, codes);
        const uint16_t* halves = reinterpret_cast<const uint16_t*>(unit + Format::kCodeBytes);  // d, then m
        const Vector d = load(halves, AllLanes{});
        BELLE_UNROLL for (size_t t = 0; t < tokens; ++t) {
          const ActivationBlock& token = activations[t];
          const Vector dots = block_dots(codes, token.values, -Format::kZeroCode * token.sum);
          sums[t] = multiply_add(dots, multiply(d, broadcast(token.scale)), sums[t]);
          if constexpr (Format::kHasMinimum) {
            const Vector weighted = broadcast(token.scale * static_cast<float>(token.sum));
            sums[t] = multiply_add(load(halves + kPanelRows, AllLanes{}), weighted, sums[t]);
          }
        }
      }
      store_tile<tokens>(args, sums);
    }
  };
};

template <class Format>
void quantized_matmul(const PanelMatmul& args) noexcept {
  run_matmul<Quantized<Format>::template Tile, kMaxTokens>(args, args.k / kBlockSize * Format::kUnitBytes, args.k);
}

struct F32Element {
  static constexpr size_t kBytes = 4;
  static Vector column(const uint8_t* from) noexcept { return _mm512_loadu_ps(from); }
};

struct F16Element {
  static constexpr size_t kBytes = 2;
  static Vector column(const uint8_t* from) noexcept {
    return load(reinterpret_cast<const uint16_t*>(from), AllLanes{});
  }
};

struct Bf16Element {
  static constexpr size_t kBytes = 2;
  static Vector column(const uint8_t* from) noexcept {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
};

// Two sums per row, over the even and the odd columns, for every tile size: one alone would wait for its latency.
template <class Element>
struct Float {
  template <size_t tokens>
  struct Tile {
    static void run(const TileArgs& args) noexcept {
      constexpr size_t kColumnBytes = kPanelRows * Element::kBytes;
      const size_t k = args.matmul->k;
      const float* x = args.matmul->x + args.first_token * k;  // [tokens, k]
      const uint8_t* panel = args.panel;
      Vector even[tokens], odd[tokens];
      for (size_t t = 0; t < tokens; ++t) even[t] = odd[t] = zeros();
      size_t col = 0;
      for (; col + 2 <= k; col += 2) {
        prefetch_unit<2 * kColumnBytes>(panel + col * kColumnBytes, args.matmul->read_ahead);
        const Vector weights = Element::column(panel + col * kColumnBytes);
        const Vector next_weights = Element::column(panel + (col + 1) * kColumnBytes);
        for (size_t t = 0; t < tokens; ++t) {
          even[t] = multiply_add(weights, broadcast(x[t * k + col]), even[t]);
          odd[t] = multiply_add(next_weights, broadcast(x[t * k + col + 1]), odd[t]);
        }
      }
      if (col < k) {
        const Vector weights = Element::column(panel + col * kColumnBytes);
        for (size_t t = 0; t < tokens; ++t) even[t] = multiply_add(weights, broadcast(x[t * k + col]), even[t]);
      }
      for (size_t t = 0; t < tokens; ++t) even[t] = add(even[t], odd[t]);
      store_tile<tokens>(args, even);
    }
  };
};

template <class Element>
void float_matmul(const PanelMatmul& args) noexcept {
  const size_t panel_stride_bytes = args.k * kPanelRows * Element::kBytes;
  run_matmul<Float<Element>::template Tile, kMaxFloatTokens>(args, panel_stride_bytes, args.k * sizeof(float));
}

// ---- Activations

// Largest magnitude of n (a multiple of 32) floats, as bits: those of NaN and infinity are larger than any number's.
inline int32_t largest_bits(const float* x, size_t n) noexcept {
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  __m512i largest = _mm512_setzero_si512();
  for (size_t i = 0; i < n; i += kLanes) {
    largest = _mm512_max_epi32(largest, _mm512_and_si512(_mm512_castps_si512(_mm512_loadu_ps(x + i)), magnitude));
  }
  return _mm512_reduce_max_epi32(largest);
}

// 32 floats times `inverse`, rounded; zeros if they are not usable. Returns the sum.
inline int32_t quantize_block(const float* x, Vector inverse, bool usable, int8_t* values) noexcept {
  const __mmask16 lanes = usable ? 0xffff : 0;
  const __m512i low = _mm512_maskz_cvtps_epi32(lanes, multiply(_mm512_loadu_ps(x), inverse));
  const __m512i high = _mm512_maskz_cvtps_epi32(lanes, multiply(_mm512_loadu_ps(x + kLanes), inverse));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(values), _mm512_cvtepi32_epi8(low));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(values + kLanes), _mm512_cvtepi32_epi8(high));
  return _mm512_reduce_add_epi32(_mm512_add_epi32(low, high));
}

}  // namespace
}  // namespace belle

#include "kernels/quantize_activations.h"
