#include "tuning/read_ahead_distance.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "core/memory.h"

namespace belle {
namespace {

constexpr size_t kUnitBytes = 288;  // of q4_0
constexpr std::array<size_t, 4> kDistances = {0, 8 * kUnitBytes, 16 * kUnitBytes, 32 * kUnitBytes};
constexpr size_t kRounds = 7;
constexpr std::array<size_t, 2> kTokens = {1, 4};  // one, and several
constexpr size_t kTrials = kDistances.size() * kRounds * kTokens.size();

struct Piece {
  const Matrix* matrix;
  size_t first_panel, end_panel;

  size_t bytes() const noexcept { return (end_panel - first_panel) * panel_bytes(matrix->type, matrix->n_cols); }
};

bool alike(const Matrix& a, const Matrix& b) noexcept { return a.type == b.type && a.n_cols == b.n_cols; }

// Of all matrices that are like this one.
size_t bytes_alike(const std::vector<Matrix>& matrices, const Matrix& one) {
  size_t n_bytes = 0;
  for (const Matrix& matrix : matrices) n_bytes += alike(matrix, one) ? matrix.image_bytes() : 0;
  return n_bytes;
}

// At least kTrials pieces of one type and width, those that most weights have; or none.
std::vector<Piece> pieces_of(const std::vector<Matrix>& matrices, size_t piece_bytes) {
  const auto rarer = [&](const Matrix& a, const Matrix& b) {
    return bytes_alike(matrices, a) < bytes_alike(matrices, b);
  };
  const auto usual = std::max_element(matrices.begin(), matrices.end(), rarer);
  std::vector<Piece> pieces;
  for (const Matrix& matrix : matrices) {
    if (!alike(matrix, *usual)) continue;
    const size_t n = matrix.image_bytes() / piece_bytes, n_panels = panel_count(matrix.n_rows);
    for (size_t i = 0; i < n; ++i) pieces.push_back({&matrix, n_panels * i / n, n_panels * (i + 1) / n});
  }
  if (pieces.size() < kTrials) pieces.clear();
  return pieces;
}

// Products with activations that are all zero: reading takes as long as with any others.
class Trials {
 public:
  Trials(const OpsContext& context, std::vector<Piece> pieces) : context_(context), pieces_(std::move(pieces)) {
    const size_t n_tokens = kTokens.back(), k = pieces_.front().matrix->n_cols;
    size_t n_panels = 0;
    for (const Piece& piece : pieces_) n_panels = std::max(n_panels, piece.end_panel - piece.first_panel);
    x_.fit(n_tokens * k);
    blocks_.resize(n_tokens * (k / kBlockSize));
    y_.fit(n_tokens * n_panels * kPanelRows);
  }

  /// The distance whose median share of a round's rates is the highest: how fast memory is changes from round to round
  /// where others use it too.
  size_t fastest_for(size_t n_tokens) {
    std::array<std::array<double, kRounds>, kDistances.size()> shares;
    for (size_t round = 0; round < kRounds; ++round) {
      double sum = 0.0;
      for (size_t i = 0; i < kDistances.size(); ++i) sum += shares[i][round] = rate_of(kDistances[i], n_tokens);
      for (auto& of_one : shares) of_one[round] /= sum;
    }
    for (auto& of_one : shares) std::nth_element(of_one.begin(), of_one.begin() + kRounds / 2, of_one.end());
    const auto smaller = [](const auto& a, const auto& b) { return a[kRounds / 2] < b[kRounds / 2]; };
    return kDistances[static_cast<size_t>(std::max_element(shares.begin(), shares.end(), smaller) - shares.begin())];
  }

 private:
  // Bytes per second over the next piece.
  double rate_of(size_t distance, size_t n_tokens) {
    using Clock = std::chrono::steady_clock;
    const Piece piece = pieces_[next_++];
    const Matrix& matrix = *piece.matrix;
    const size_t bytes_per_panel = panel_bytes(matrix.type, matrix.n_cols);
    const size_t n_panels = piece.end_panel - piece.first_panel;
    const Clock::time_point start = Clock::now();
    context_.pool.parallel_for(n_panels, [&](size_t begin, size_t end) {
      PanelMatmul share{};
      share.panels = matrix.panels + (piece.first_panel + begin) * bytes_per_panel;
      share.n_rows = (end - begin) * kPanelRows;
      share.k = matrix.n_cols;
      share.x = x_.data();
      share.blocks = blocks_.data();
      share.n_tokens = n_tokens;
      share.y = y_.data() + begin * kPanelRows;
      share.y_stride = n_panels * kPanelRows;
      share.read_ahead = distance;
      context_.kernels.matmul[static_cast<size_t>(matrix.type)](share);
    });
    return static_cast<double>(piece.bytes()) / std::chrono::duration<double>(Clock::now() - start).count();
  }

  const OpsContext& context_;
  const std::vector<Piece> pieces_;
  size_t next_ = 0;
  FloatBuffer x_;                        // [tokens, k]
  std::vector<ActivationBlock> blocks_;  // [tokens, k / 32], in any order
  FloatBuffer y_;                        // [tokens, rows of the largest piece]
};

}  // namespace

ReadAhead measure_read_ahead(const OpsContext& context, const std::vector<Matrix>& matrices, size_t piece_bytes) {
  if (!context.kernels.reads_ahead) return {};
  std::vector<Piece> pieces = pieces_of(matrices, piece_bytes);
  if (pieces.empty()) return {};
  Trials trials(context, std::move(pieces));
  ReadAhead fastest;
  fastest.one_token = trials.fastest_for(kTokens[0]);
  fastest.several_tokens = trials.fastest_for(kTokens[1]);
  fastest.measured = true;
  return fastest;
}

}  // namespace belle
