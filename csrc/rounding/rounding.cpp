#include "rounding/rounding.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>

namespace belle {
namespace {

constexpr size_t kCheckedSquare = 64;
constexpr size_t kBestPasses = 3;  // each takes twice the products of error feedback

[[noreturn]] void refuse(size_t i, size_t j, float value, const char* expected) {
  throw std::invalid_argument("moments: row " + std::to_string(i) + ", column " + std::to_string(j) + " has " +
                              std::to_string(value) + ", expected " + expected);
}

// Whether i, j and j, i may be means of a product, within what files round.
bool is_moment(float value, float mirrored, float bound) noexcept {
  const float size = std::fabs(value), off = std::fabs(value - mirrored);
  return size <= 1.001f * bound && off <= 1e-3f * bound;
}

// Throws std::invalid_argument that names a place.
void check_moments(ThreadPool& pool, const float* moments, size_t n) {
  std::vector<float> roots(n);
  for (size_t i = 0; i < n; ++i) {
    const float energy = moments[i * n + i];
    if (!(energy >= 0.0f && energy <= std::numeric_limits<float>::max())) {
      refuse(i, i, energy, "a finite mean square from 0 on");
    }
    roots[i] = std::sqrt(energy);
  }
  const size_t n_squares = (n + kCheckedSquare - 1) / kCheckedSquare;
  std::atomic<size_t> bad{n * n};
  pool.parallel_for(n_squares, [&](size_t begin, size_t end) {
    for (size_t i = begin * kCheckedSquare; i < std::min(n, end * kCheckedSquare); ++i) {
      for (size_t j = 0; j < i; ++j) {
        if (!is_moment(moments[i * n + j], moments[j * n + i], roots[i] * roots[j])) bad.store(i * n + j);
      }
    }
  });
  const size_t found = bad.load();
  if (found < n * n) {
    refuse(found / n, found % n, moments[found],
           "the mean of a product: finite, symmetric, bounded by the mean squares");
  }
}

}  // namespace

Rounding::Rounding(const RoundingKernels& kernels, ThreadPool& pool, const float* moments, size_t n, double damping)
    : kernels_(kernels), damping_(damping), energies_(n) {
  check_moments(pool, moments, n);
  moments_.fit(n * n);
  pool.parallel_for(n, [&](size_t begin, size_t end) {
    std::copy(moments + begin * n, moments + end * n, moments_.data() + begin * n);
  });
  for (size_t i = 0; i < n; ++i) energies_[i] = moments[i * n + i];
}

const Factor& Rounding::factor(ThreadPool& pool) const {
  std::call_once(factored_,
                 [&] { factor_ = std::make_unique<Factor>(kernels_, pool, moments_.data(), n_columns(), damping_); });
  return *factor_;
}

// Calls body(tile, index of its first row) for each tile that is finite.
template <class Body>
size_t Rounding::for_each_tile(ThreadPool& pool, const RowsOfFloats& rows, WeightType type, const Body& body) const {
  const size_t n_tiles = (rows.n_rows + kTileRows - 1) / kTileRows;
  std::vector<std::unique_ptr<Tile>> tiles(std::min(pool.size(), n_tiles));
  for (auto& tile : tiles) tile = std::make_unique<Tile>(n_columns(), type);
  std::atomic<size_t> next{0}, bad_row{rows.n_rows};
  pool.parallel_for(tiles.size(), [&](size_t begin, size_t end) {
    for (size_t share = begin; share < end; ++share) {
      for (size_t index = next++; index < n_tiles; index = next++) {
        Tile& tile = *tiles[share];
        const size_t first = index * kTileRows, n_finite = tile.load(rows, first);
        if (n_finite == tile.n_rows()) body(tile, first);
        else bad_row.store(first + n_finite);
      }
    }
  });
  return bad_row.load();
}

size_t Rounding::round(ThreadPool& pool, const RowsOfFloats& rows, WeightType type, RoundingEffort effort,
                       uint8_t* out) const {
  const size_t bytes = row_bytes(traits_of(type), n_columns());
  const Factor& factor = this->factor(pool);
  return for_each_tile(pool, rows, type, [&](Tile& tile, size_t first) noexcept {
    tile.search_scales(kernels_, energies_.data());
    tile.feed_back(kernels_, factor);
    if (effort == RoundingEffort::kBest) tile.refine(kernels_, factor, moments_.data(), kBestPasses);
    tile.write(out + first * bytes);
  });
}

size_t Rounding::errors(ThreadPool& pool, const RowsOfFloats& rows, const uint8_t* data, WeightType type,
                        double* out) const {
  const size_t bytes = row_bytes(traits_of(type), n_columns());
  return for_each_tile(pool, rows, type, [&](Tile& tile, size_t first) noexcept {
    double errors[kTileRows];
    tile.take_errors(data + first * bytes);
    tile.weighted_errors(kernels_, moments_.data(), errors);
    std::copy_n(errors, tile.n_rows(), out + first);
  });
}

}  // namespace belle
