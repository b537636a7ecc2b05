// Int8 slabs with the VNNI instructions: weights with one scale per row and slab need no scaling between their blocks
// of 32, so nearly all of the work is vpdpbusd. It wants one side unsigned: the activations are packed plus 128, and
// what that adds is taken out where the sums start.
//
// The including file says how wide it is (Bytes, Sums32 and add_products among others), how many tokens, kSlabTokens,
// and vectors of rows, kTileVectors, a tile has, and how a tile's tokens are packed (pack_groups). Include after
// wide_matmul.h; everything stays inside the including file's anonymous namespace.
#pragma once

namespace belle {
namespace {

// ---- activations, plus 128: [slab][token tile][group of 4 columns][kSlabTokens][4], then float scales
// [slab][kSlabTokens * token tiles]

struct SlabTiles {
  size_t n_token_tiles, k;

  SlabTiles(size_t n_tokens, size_t columns) noexcept : n_token_tiles(quotient_up(n_tokens, kSlabTokens)), k(columns) {}

  size_t n_slabs() const noexcept { return quotient_up(k, kSlabColumns); }
  size_t columns_of(size_t slab) const noexcept { return smaller(kSlabColumns, k - slab * kSlabColumns); }
  size_t groups_of(size_t slab) const noexcept { return columns_of(slab) / kGroupColumns; }
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
      alignas(64) int8_t values[kSlabTokens][kSlabColumns];
      for (size_t i = 0; i < kSlabTokens; ++i) {
        const size_t token = tile * kSlabTokens + i;
        const size_t first = token * args.k + slab * kSlabColumns;
        scales[i] = 0.0f;
        if (token < args.n_tokens) {
          float room[kSlabColumns];
          scales[i] = quantize_slab(without_outliers(args.outliers, args.x + first, slab, n, room), n, values[i]);
        } else {
          memset(values[i], 0, n);
        }
      }
      pack_groups(values, n, out);
    }
  }
}

// ---- products

template <class Format>
class SlabChunk {
 public:
  struct Session {};
  static constexpr size_t kTileTokens = kSlabTokens, kColumns = kSlabColumns;

  SlabChunk(const Block& block, size_t slab, Prefetch& prefetch) noexcept
      : block_(block), slab_(slab), prefetch_(prefetch), tiles_(block.args->n_tokens, block.args->k) {}

  static void run(const Block& block) noexcept { run_chunks<SlabChunk, Format>(block); }

  static void finish(const Block& block) noexcept { TileSums<kSlabTokens>::finish(block); }

  /// Calls of prefetch_.advance() per chunk.
  static size_t steps_of(const Block& block) noexcept { return block.n_token_tiles; }

  void expand() noexcept {
    const SlabUnits<Format> units(block_, slab_);
    for (size_t p = 0; p < block_.n_panels; ++p) {
      expand_int8<Format>(units.of(p), units.n, block_.scratch->weights + p * kPanelSlabBytes,
                          block_.scratch->weight_scales + p * kPanelRows);
    }
    for (size_t first = 0; first < kBlockVectors; first += kTileVectors) {
      Sums32 excess[kTileVectors];  // [rows] of 128 * weight
      BELLE_UNROLL
      for (size_t v = 0; v < kTileVectors; ++v) excess[v] = Sums32{};
      const Bytes one = words(static_cast<int16_t>(0x8080));
      for (size_t group = 0; group < tiles_.groups_of(slab_); ++group) {
        BELLE_UNROLL
        for (size_t v = 0; v < kTileVectors; ++v) {  // of panels that the block lacks as well: nobody reads them
          const uint8_t* weights = block_.scratch->weights + offset_of(first + v) + group * kGroupCodes;
          excess[v] = add_products(excess[v], one, load_bytes(weights));
        }
      }
      BELLE_UNROLL
      for (size_t v = 0; v < kTileVectors; ++v) {
        store_sums(block_.scratch->starts + (first + v) * kLanes, negative(excess[v]));
      }
    }
  }

  void multiply_block() noexcept {
    const size_t n_vectors = block_.n_panels * kPanelVectors;
    for (size_t tile = 0; tile < block_.n_token_tiles; ++tile) {
      size_t first = 0;
      for (; first + kTileVectors <= n_vectors; first += kTileVectors) multiply_tile<kTileVectors>(tile, first);
      if constexpr (kTileVectors > kPanelVectors) {
        for (; first < n_vectors; first += kPanelVectors) multiply_tile<kPanelVectors>(tile, first);
      }
      prefetch_.advance();
    }
  }

 private:
  static constexpr size_t kBlockVectors = kBlockPanels * kPanelVectors;

  // Where a vector of the block's rows has its weights.
  static constexpr size_t offset_of(size_t vector) noexcept {
    return vector / kPanelVectors * kPanelSlabBytes + vector % kPanelVectors * sizeof(Bytes);
  }

  // A tile of tokens against some vectors of the block's rows. The loops over both must be unrolled: what they index
  // are registers.
  template <size_t vectors>
  BELLE_ALONE void multiply_tile(size_t tile, size_t first_vector) const noexcept {
    const Scratch& scratch = *block_.scratch;
    const size_t token_tile = block_.first_token_tile + tile, n_groups = tiles_.groups_of(slab_);
    const uint8_t* activations = block_.args->packed + tiles_.offset_of(slab_, token_tile);
    const uint8_t* weights = scratch.weights + offset_of(first_vector);
    const size_t first_row = first_vector * kLanes;
    Sums32 dots[kSlabTokens][vectors];
    BELLE_UNROLL
    for (size_t i = 0; i < kSlabTokens; ++i) {
      BELLE_UNROLL
      for (size_t v = 0; v < vectors; ++v) dots[i][v] = load_sums(scratch.starts + first_row + v * kLanes);
    }
    for (size_t group = 0; group < n_groups; group += 2) {  // a slab is whole blocks of 8 groups
      BELLE_UNROLL
      for (size_t half = 0; half < 2; ++half) {
        Bytes rows[vectors];
        BELLE_UNROLL
        for (size_t v = 0; v < vectors; ++v) rows[v] = load_bytes(weights + offset_of(v));
        BELLE_UNROLL
        for (size_t i = 0; i < kSlabTokens; ++i) {
          const Bytes columns = broadcast_group(reinterpret_cast<const int8_t*>(activations + i * kGroupColumns));
          BELLE_UNROLL
          for (size_t v = 0; v < vectors; ++v) dots[i][v] = add_products(dots[i][v], columns, rows[v]);
        }
        weights += kGroupCodes;
        activations += kGroupColumns * kSlabTokens;
      }
    }
    const float* token_scales = tiles_.scales(block_.args->packed, slab_) + token_tile * kSlabTokens;
    const float* weight_scales = scratch.weight_scales + first_row;
    const bool first = block_.starts_with(slab_);
    const float* before = (first ? kNothing : scratch.sums[tile * kSlabTokens]) + first_row;
    const size_t stride = first ? 0 : kBlockRows;
    const auto out = TileSums<kSlabTokens>::of(block_, tile, slab_ + 1 == tiles_.n_slabs());
    BELLE_UNROLL
    for (size_t i = 0; i < kSlabTokens; ++i) {
      const Vector token_scale = broadcast(token_scales[i]);
      float* rows = out.rows + i * out.stride + first_row;
      BELLE_UNROLL
      for (size_t v = 0; v < vectors; ++v) {
        const Vector scale = multiply(token_scale, load(weight_scales + v * kLanes, AllLanes{}));
        const Vector sum = load(before + i * stride + v * kLanes, AllLanes{});
        store(rows + v * kLanes, multiply_add(to_floats(dots[i][v]), scale, sum), AllLanes{});
      }
    }
  }

  const Block& block_;
  const size_t slab_;
  Prefetch& prefetch_;
  const SlabTiles tiles_;
};

constexpr WideKernels kSlab256Kernels =
    wide_kernels<SlabChunk, WideQ4_0, WideQ4_1, WideQ8_0>(slab_packed_bytes, pack_slabs);

}  // namespace
}  // namespace belle
