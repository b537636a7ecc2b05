// Int8 slabs with AVX-512 VNNI: weights with one scale per row and slab need no scaling between their blocks of 32, so
// nearly all of the work is vpdpbusd. It wants one side unsigned: the activations are packed plus 128, and what that
// adds is taken out where the sums start. Include after wide_matmul.h; everything stays inside the including file's
// anonymous namespace.
#pragma once

namespace belle {
namespace {

constexpr size_t kSlabTokens = 8;  // of a tile: 16 sums, 2 vectors of weights, activations

template <class Format>
class SlabChunk : public SlabWeights<Format> {
 public:
  struct Session {};
  using SlabWeights<Format>::kSlabs;
  using SlabWeights<Format>::SlabWeights;

  /// Calls of prefetch_.advance() per chunk.
  static size_t steps_of(const Block& block) noexcept {
    return kSlabs * quotient_up(block.n_token_tiles, 2) * quotient_up(block.n_panels, 2);
  }

  void expand() noexcept {
    SlabWeights<Format>::expand();
    for (size_t s = 0; s < n_slabs_; ++s) {
      for (size_t p = 0; p < block_.n_panels; ++p) {
        __m512i sums = _mm512_setzero_si512();  // [16 rows] of 128 * weight
        for (size_t at = 0; at < tiles_.steps_of(first_slab_ + s) * kTileBytes; at += kTileRowBytes) {
          const __m512i weights = load_bytes(weights_of(s, p) + at);
          sums = _mm512_dpbusd_epi32(sums, _mm512_set1_epi8(static_cast<char>(128)), weights);
        }
        _mm512_storeu_si512(block_.scratch->starts[s][p], _mm512_sub_epi32(_mm512_setzero_si512(), sums));
      }
    }
  }

  template <int token_tiles, int row_tiles>
  void run(size_t t, size_t r) noexcept {
    for (size_t s = 0; s < n_slabs_; ++s) {
      for (size_t tile = t; tile < t + token_tiles; ++tile) {
        for (size_t token = 0; token < kTileRows; token += kSlabTokens) multiply_slab<row_tiles>(s, tile, token, r);
      }
      prefetch_.advance();
    }
  }

  void finish() noexcept {}

 private:
  using SlabWeights<Format>::block_;
  using SlabWeights<Format>::prefetch_;
  using SlabWeights<Format>::tiles_;
  using SlabWeights<Format>::first_slab_;
  using SlabWeights<Format>::n_slabs_;
  using SlabWeights<Format>::kPanelTileBytes;
  using SlabWeights<Format>::weights_of;

  // Tokens [first, first + kSlabTokens) of a token tile against row_tiles panels, one slab.
  template <int row_tiles>
  void multiply_slab(size_t s, size_t tile, size_t first, size_t r) const noexcept {
    const size_t slab = first_slab_ + s, n_steps = tiles_.steps_of(slab), token_tile = block_.first_token_tile + tile;
    const uint8_t* activations = block_.args->packed + tiles_.offset_of(slab, token_tile) + first * kTileRowBytes;
    const uint8_t* weights = weights_of(s, r);
    __m512i dots[kSlabTokens][row_tiles];
    for (size_t i = 0; i < kSlabTokens; ++i) {
      for (size_t j = 0; j < row_tiles; ++j) dots[i][j] = _mm512_loadu_si512(block_.scratch->starts[s][r + j]);
    }
    for (size_t step = 0; step < n_steps; ++step, activations += kTileBytes, weights += kTileBytes) {
#if defined(__GNUC__)
#pragma GCC unroll 4  // left alone, GCC unrolls all 16 and loses a fifth of the speed
#endif
      for (size_t at = 0; at < kTileRowBytes; at += 4) {
        __m512i rows[row_tiles];
        for (size_t j = 0; j < row_tiles; ++j) rows[j] = load_bytes(weights + j * kPanelTileBytes + at * kTileRows);
        for (size_t i = 0; i < kSlabTokens; ++i) {
          const __m512i columns =
              broadcast_group(reinterpret_cast<const int8_t*>(activations + i * kTileRowBytes + at));
          for (size_t j = 0; j < row_tiles; ++j) dots[i][j] = _mm512_dpbusd_epi32(dots[i][j], columns, rows[j]);
        }
      }
    }
    const float* token_scales = int8_scales(block_.args->packed, tiles_, slab) + token_tile * kTileRows + first;
    for (size_t i = 0; i < kSlabTokens; ++i) {
      const Vector token_scale = broadcast(token_scales[i]);
      float* sums = block_.scratch->sums[tile * kTileRows + first + i] + r * kTileRows;
      for (size_t j = 0; j < row_tiles; ++j) {
        const Vector before = slab == 0 ? zeros() : _mm512_loadu_ps(sums + j * kTileRows);
        const Vector scale = multiply(token_scale, _mm512_loadu_ps(block_.scratch->weight_scales[s][r + j]));
        _mm512_storeu_ps(sums + j * kTileRows, multiply_add(_mm512_cvtepi32_ps(dots[i][j]), scale, before));
      }
    }
  }
};

constexpr WideKernels kSlab256Kernels = wide_kernels<SlabChunk>(int8_packed_bytes, pack_int8<128>);

}  // namespace
}  // namespace belle
