// Activations in int8 slabs: along the columns slabs of 256, in a slab the tiles of 16 tokens, in a tile steps of 64
// columns. So the tiles that one slab's products need lie next to each other.
//
//   kSlab256   int8  [slab][token tile][step of 64 columns][16 tokens][64], then float scales [slab][16 * token tiles]
//
// The last slab may have fewer steps; columns past k and tokens past the last one are zero. Include after avx512.h;
// everything stays inside the including file's anonymous namespace.
#pragma once

namespace belle {
namespace {

constexpr size_t kTileRows = 16;
constexpr size_t kTileRowBytes = 64;
constexpr size_t kTileBytes = kTileRows * kTileRowBytes;
constexpr size_t kSlabColumns = 256;

inline size_t smaller(size_t a, size_t b) noexcept { return a < b ? a : b; }
inline size_t quotient_up(size_t a, size_t b) noexcept { return (a + b - 1) / b; }
inline size_t token_tiles_of(size_t n_tokens) noexcept { return quotient_up(n_tokens, kTileRows); }

/// Where a form's tiles are. step_columns: columns of 64 bytes.
template <size_t step_columns>
struct PackedTiles {
  static constexpr size_t kSlabSteps = kSlabColumns / step_columns;
  size_t n_token_tiles, n_steps;

  PackedTiles(size_t n_tokens, size_t k) noexcept
      : n_token_tiles(token_tiles_of(n_tokens)), n_steps(quotient_up(k, step_columns)) {}

  size_t n_slabs() const noexcept { return quotient_up(n_steps, kSlabSteps); }
  size_t steps_of(size_t slab) const noexcept { return smaller(kSlabSteps, n_steps - slab * kSlabSteps); }
  size_t offset_of(size_t slab, size_t token_tile) const noexcept {
    return (slab * kSlabSteps * n_token_tiles + token_tile * steps_of(slab)) * kTileBytes;
  }
  size_t bytes() const noexcept { return n_steps * n_token_tiles * kTileBytes; }
};

using Int8Tiles = PackedTiles<64>;

// ---- int8, one scale per token and slab: the formulas and special cases of quantize_activations, on wider blocks

// Largest magnitude of n (a multiple of 32) floats, as bits: those of NaN and infinity are larger than any number's.
inline int32_t largest_bits(const float* x, size_t n) noexcept {
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  __m512i largest = _mm512_setzero_si512();
  for (size_t i = 0; i < n; i += kLanes) {
    largest = _mm512_max_epi32(largest, _mm512_and_si512(_mm512_castps_si512(_mm512_loadu_ps(x + i)), magnitude));
  }
  return _mm512_reduce_max_epi32(largest);
}

// One token's part of a slab, n columns, into its row of each step's tile, zero as `zero`; returns the scale.
template <uint8_t zero>
inline float pack_token_slab(const float* x, size_t n, uint8_t* first_row) noexcept {
  const int32_t largest = largest_bits(x, n);
  float absmax;
  memcpy(&absmax, &largest, sizeof absmax);
  const bool usable = largest < kInfinityBits && absmax >= kTinyAbsmax;
  const __mmask16 lanes = usable ? 0xffff : 0;
  const Vector inverse = broadcast(127.0f / absmax);
  for (size_t i = 0; i < quotient_up(n, kTileRowBytes) * kTileRowBytes; i += kLanes) {
    const __mmask16 present = i < n ? lanes : 0;
    const Vector scaled = multiply(_mm512_maskz_loadu_ps(present, x + i), inverse);
    const __m512i values = _mm512_maskz_cvtps_epi32(present, scaled);
    uint8_t* to = first_row + i / kTileRowBytes * kTileBytes + i % kTileRowBytes;
    const __m128i bytes = _mm_xor_si128(_mm512_cvtepi32_epi8(values), _mm_set1_epi8(static_cast<char>(zero)));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
  }
  return usable ? absmax / 127.0f : largest < kInfinityBits ? 0.0f : NAN;
}

size_t int8_packed_bytes(size_t n_tokens, size_t k) noexcept {
  const Int8Tiles tiles(n_tokens, k);
  return tiles.bytes() + tiles.n_slabs() * tiles.n_token_tiles * kTileRows * sizeof(float);
}

inline const float* int8_scales(const uint8_t* packed, const Int8Tiles& tiles, size_t slab) noexcept {
  return reinterpret_cast<const float*>(packed + tiles.bytes()) + slab * tiles.n_token_tiles * kTileRows;
}

/// zero = 0: signed values; zero = 128: the same plus 128, for instructions that want one side unsigned.
template <uint8_t zero>
void pack_int8(const WidePack& args) noexcept {
  const Int8Tiles tiles(args.n_tokens, args.k);
  for (size_t tile = args.first_tile; tile < args.end_tile; ++tile) {
    for (size_t slab = 0; slab < tiles.n_slabs(); ++slab) {
      uint8_t* out = args.packed + tiles.offset_of(slab, tile);
      float* scales = const_cast<float*>(int8_scales(args.packed, tiles, slab)) + tile * kTileRows;
      const size_t n = smaller(kSlabColumns, args.k - slab * kSlabColumns);
      for (size_t row = 0; row < kTileRows; ++row) {
        const size_t token = tile * kTileRows + row;
        uint8_t* to = out + row * kTileRowBytes;
        if (token < args.n_tokens) {
          scales[row] = pack_token_slab<zero>(args.x + token * args.k + slab * kSlabColumns, n, to);
          continue;
        }
        scales[row] = 0.0f;
        for (size_t step = 0; step < tiles.steps_of(slab); ++step) memset(to + step * kTileBytes, zero, kTileRowBytes);
      }
    }
  }
}

}  // namespace
}  // namespace belle
