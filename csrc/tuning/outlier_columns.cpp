#include "tuning/outlier_columns.h"

#include <algorithm>
#include <cmath>

#include "kernels/table.h"

namespace belle {
namespace {

constexpr size_t kColumnsPerOutlier = 64;  // a product in float costs as much as four in a slab
constexpr double kColumnsWorthAFactor = 16.0;

// 1 / sum of the squares of each token; 0 for tokens of zeros and those that are not finite.
std::vector<float> token_weights(const float* x, size_t n_tokens, size_t n_cols) {
  std::vector<float> weights(n_tokens);
  for (size_t t = 0; t < n_tokens; ++t) {
    double squares = 0.0;
    for (size_t col = 0; col < n_cols; ++col) {
      const double value = x[t * n_cols + col];
      squares += value * value;
    }
    weights[t] = std::isnormal(static_cast<float>(squares)) ? static_cast<float>(1.0 / squares) : 0.0f;
  }
  return weights;
}

// The columns with the largest sums of squares, from the largest one on.
std::vector<uint32_t> largest_columns(const float* x, const std::vector<float>& weights, size_t n_cols) {
  std::vector<float> squares(n_cols);
  for (size_t t = 0; t < weights.size(); ++t) {
    if (weights[t] == 0.0f) continue;
    for (size_t col = 0; col < n_cols; ++col) squares[col] += weights[t] * x[t * n_cols + col] * x[t * n_cols + col];
  }
  std::vector<uint32_t> columns(n_cols);
  for (size_t col = 0; col < n_cols; ++col) columns[col] = static_cast<uint32_t>(col);
  const size_t n = std::min(kMaxOutliers, n_cols / kColumnsPerOutlier);
  std::partial_sort(columns.begin(), columns.begin() + static_cast<ptrdiff_t>(n), columns.end(),
                    [&](uint32_t a, uint32_t b) { return squares[a] != squares[b] ? squares[a] > squares[b] : a < b; });
  columns.resize(n);
  return columns;
}

// E(n) for n = 0 .. candidates.size()
std::vector<double> errors_without(const float* x, const std::vector<float>& weights, size_t n_cols,
                                   const std::vector<uint32_t>& candidates) {
  std::vector<bool> taken(n_cols);
  for (const uint32_t column : candidates) taken[column] = true;
  const size_t n_slabs = (n_cols + kSlabColumns - 1) / kSlabColumns;
  std::vector<double> errors(candidates.size() + 1);
  std::vector<float> largest(n_slabs);
  for (size_t t = 0; t < weights.size(); ++t) {
    if (weights[t] == 0.0f) continue;
    const float* token = x + t * n_cols;
    const auto share = [&](size_t slab) {
      const size_t columns = std::min(kSlabColumns, n_cols - slab * kSlabColumns);
      return static_cast<double>(columns) * largest[slab] * largest[slab] * weights[t];
    };
    double error = 0.0;
    for (size_t slab = 0; slab < n_slabs; ++slab) {
      largest[slab] = 0.0f;
      for (size_t col = slab * kSlabColumns; col < std::min((slab + 1) * kSlabColumns, n_cols); ++col) {
        if (!taken[col]) largest[slab] = std::max(largest[slab], std::fabs(token[col]));
      }
      error += share(slab);
    }
    for (size_t n = candidates.size();; --n) {  // put them back, the smallest one first
      errors[n] += error;
      if (n == 0) break;
      const size_t column = candidates[n - 1], slab = column / kSlabColumns;
      error -= share(slab);
      largest[slab] = std::max(largest[slab], std::fabs(token[column]));
      error += share(slab);
    }
  }
  return errors;
}

}  // namespace

std::vector<uint32_t> outlier_columns(const float* x, size_t n_tokens, size_t n_cols) {
  const size_t half = n_tokens / 2;
  const float* others = x + half * n_cols;
  std::vector<uint32_t> columns = largest_columns(x, token_weights(x, half, n_cols), n_cols);
  const std::vector<double> errors =
      errors_without(others, token_weights(others, n_tokens - half, n_cols), n_cols, columns);
  const auto cost = [&](size_t n) { return errors[n] * (1.0 + static_cast<double>(n) / kColumnsWorthAFactor); };
  size_t best = 0;
  for (size_t n = 1; n < errors.size(); ++n) {
    if (cost(n) < cost(best)) best = n;
  }
  columns.resize(best);
  std::sort(columns.begin(), columns.end());
  return columns;
}

}  // namespace belle
