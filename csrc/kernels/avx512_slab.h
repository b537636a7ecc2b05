// Int8 slabs with AVX-512 VNNI: weights with one scale per row and slab need no scaling between their blocks of 32, so
// nearly all of the work is vpdpbusd. It wants one side unsigned: the activations are packed plus 128, and what that
// adds is taken out where the sums start. Include after wide_matmul.h; everything stays inside the including file's
// anonymous namespace.
#pragma once

namespace belle {
namespace {

constexpr size_t kSlabTokens = 4;  // of a tile: with 4 panels 16 sums, 4 vectors of weights, activations
constexpr size_t kGroupBytes = 4;  // of a token: 4 neighbouring columns, which meet 16 rows at once

// ---- activations, plus 128: [slab][token tile][group of 4 columns][kSlabTokens][4], then float scales
// [slab][kSlabTokens * token tiles]

struct SlabTiles {
  size_t n_token_tiles, k;

  SlabTiles(size_t n_tokens, size_t columns) noexcept : n_token_tiles(quotient_up(n_tokens, kSlabTokens)), k(columns) {}

  size_t n_slabs() const noexcept { return quotient_up(k, kSlabColumns); }
  size_t columns_of(size_t slab) const noexcept { return smaller(kSlabColumns, k - slab * kSlabColumns); }
  size_t groups_of(size_t slab) const noexcept { return columns_of(slab) / kGroupBytes; }
  size_t offset_of(size_t slab, size_t tile) const noexcept {
    return (slab * kSlabColumns * n_token_tiles + tile * columns_of(slab)) * kSlabTokens;
  }
  size_t bytes() const noexcept { return k * n_token_tiles * kSlabTokens; }
  const float* scales(const uint8_t* packed, size_t slab) const noexcept {
    return reinterpret_cast<const float*>(packed + bytes()) + slab * n_token_tiles * kSlabTokens;
  }
};

size_t slab_packed_bytes(size_t n_tokens, size_t k) noexcept {
  const SlabTiles tiles(n_tokens, k);
  return tiles.bytes() + tiles.n_slabs() * tiles.n_token_tiles * kSlabTokens * sizeof(float);
}

void pack_slabs(const WidePack& args) noexcept {
  const SlabTiles tiles(args.n_tokens, args.k);
  for (size_t tile = args.first_tile; tile < args.end_tile; ++tile) {
    for (size_t slab = 0; slab < tiles.n_slabs(); ++slab) {
      uint8_t* out = args.packed + tiles.offset_of(slab, tile);
      float* scales = const_cast<float*>(tiles.scales(args.packed, slab)) + tile * kSlabTokens;
      const size_t n = tiles.columns_of(slab);
      for (size_t i = 0; i < kSlabTokens; ++i) {
        const size_t token = tile * kSlabTokens + i;
        alignas(64) uint8_t values[kSlabColumns];
        if (token < args.n_tokens) {
          scales[i] = pack_token_slab<128, 64>(args.x + token * args.k + slab * kSlabColumns, n, values);
        } else {
          scales[i] = 0.0f;
          memset(values, 128, n);
        }
        for (size_t at = 0; at < n; at += kGroupBytes) {
          memcpy(out + at * kSlabTokens + i * kGroupBytes, values + at, kGroupBytes);
        }
      }
    }
  }
}

// ---- products

template <class Format>
class SlabChunk : public SlabWeights<Format, 1> {
 public:
  struct Session {};
  static constexpr size_t kTileTokens = kSlabTokens;

  SlabChunk(const Block& block, size_t slab, Prefetch& prefetch) noexcept
      : SlabWeights<Format, 1>(block, slab), prefetch_(prefetch), tiles_(block.args->n_tokens, block.args->k) {}

  /// Writes what the tiles have left in scratch.
  static void finish(const Block& block) noexcept { write_tokens(block, whole_tiles(block) * kSlabTokens); }

  /// Calls of prefetch_.advance() per chunk.
  static size_t steps_of(const Block& block) noexcept { return block.n_token_tiles; }

  void expand() noexcept {
    SlabWeights<Format, 1>::expand();
    Sums excess[kBlockPanels];  // [panel][16 rows] of 128 * weight
    for (size_t p = 0; p < kBlockPanels; ++p) excess[p] = Sums{};
    const __m512i one = _mm512_set1_epi8(static_cast<char>(128));
    for (size_t group = 0; group < tiles_.groups_of(first_slab_); ++group) {
      for (size_t p = 0; p < kBlockPanels; ++p) {  // of panels that the block lacks as well: nobody reads them
        excess[p] = add_products(excess[p], one, load_bytes(weights_of(0, p) + group * kGroupBytes * kPanelRows));
      }
    }
    for (size_t p = 0; p < kBlockPanels; ++p) store_sums(block_.scratch->starts[p], negative(excess[p]));
  }

  void multiply_block() noexcept {
    switch (block_.n_panels) {
      case 4: return multiply_panels<4>();
      case 3: return multiply_panels<3>();
      case 2: return multiply_panels<2>();
      default: return multiply_panels<1>();
    }
  }

 private:
  using SlabWeights<Format, 1>::block_;
  using SlabWeights<Format, 1>::first_slab_;
  using SlabWeights<Format, 1>::kPanelSlabBytes;
  using SlabWeights<Format, 1>::weights_of;

  template <size_t panels>
  void multiply_panels() noexcept {
    for (size_t tile = 0; tile < block_.n_token_tiles; ++tile) {
      multiply_tile<panels>(tile);
      prefetch_.advance();
    }
  }

  // The loops over tokens and panels must be unrolled: what they index are registers.
  template <size_t panels>
  void multiply_tile(size_t tile) const noexcept {
    const Scratch& scratch = *block_.scratch;
    const size_t token_tile = block_.first_token_tile + tile, n_groups = tiles_.groups_of(first_slab_);
    const uint8_t* activations = block_.args->packed + tiles_.offset_of(first_slab_, token_tile);
    const uint8_t* weights = scratch.weights;
    Sums dots[kSlabTokens][panels];
    BELLE_UNROLL
    for (size_t i = 0; i < kSlabTokens; ++i) {
      BELLE_UNROLL
      for (size_t j = 0; j < panels; ++j) dots[i][j] = load_sums(scratch.starts[j]);
    }
    for (size_t group = 0; group < n_groups; ++group) {
      __m512i rows[panels];
      for (size_t j = 0; j < panels; ++j) rows[j] = load_bytes(weights + j * kPanelSlabBytes);
      BELLE_UNROLL
      for (size_t i = 0; i < kSlabTokens; ++i) {
        const __m512i columns = broadcast_group(reinterpret_cast<const int8_t*>(activations + i * kGroupBytes));
        BELLE_UNROLL
        for (size_t j = 0; j < panels; ++j) dots[i][j] = add_products(dots[i][j], columns, rows[j]);
      }
      weights += kGroupBytes * kPanelRows;
      activations += kGroupBytes * kSlabTokens;
    }
    const float* token_scales = tiles_.scales(block_.args->packed, first_slab_) + token_tile * kSlabTokens;
    const float* before = scratch.sums[tile * kSlabTokens];
    const __mmask16 added = first_slab_ == 0 ? 0 : 0xffff;
    const Output out = output_of(tile);
    BELLE_UNROLL
    for (size_t i = 0; i < kSlabTokens; ++i) {
      const Vector token_scale = broadcast(token_scales[i]);
      BELLE_UNROLL
      for (size_t j = 0; j < panels; ++j) {
        const Vector scale = multiply(token_scale, _mm512_loadu_ps(scratch.weight_scales[0][j]));
        const Vector sum = _mm512_maskz_loadu_ps(added, before + i * kBlockRows + j * kPanelRows);
        _mm512_storeu_ps(out.rows + i * out.stride + j * kPanelRows, multiply_add(to_floats(dots[i][j]), scale, sum));
      }
    }
  }

  // Where a tile's sums go: behind the last slab straight to y, unless the tile or the block is not whole.
  struct Output {
    float* rows;
    size_t stride;
  };
  Output output_of(size_t tile) const noexcept {
    const bool last = first_slab_ + 1 == tiles_.n_slabs();
    if (!last || tile >= whole_tiles(block_)) return {block_.scratch->sums[tile * kSlabTokens], kBlockRows};
    const WideMatmul& args = *block_.args;
    const size_t token = (block_.first_token_tile + tile) * kSlabTokens;
    return {args.y + token * args.y_stride + block_.first_row, args.y_stride};
  }

  static size_t whole_tiles(const Block& block) noexcept {
    return block.n_rows == block.n_panels * kPanelRows ? block.n_tokens / kSlabTokens : 0;
  }

  Prefetch& prefetch_;
  const SlabTiles tiles_;
};

constexpr WideKernels kSlab256Kernels = wide_kernels<SlabChunk>(slab_packed_bytes, pack_slabs);

}  // namespace
}  // namespace belle
