#include "ops/quantize_rows.h"

#include <atomic>
#include <vector>

#include "quant/quantize.h"
#include "quant/search_row.h"

namespace belle {
namespace {

void encode(const KernelTable& kernels, WeightType target, const float* row, const float* importance, size_t n,
            uint8_t* out) noexcept {
  const auto quantize = kernels.quantize[static_cast<size_t>(target)];
  if (quantize != nullptr && importance == nullptr) quantize(row, n, out);
  else if (importance != nullptr || is_searched(target)) kernels.search(target, row, importance, n, out);
  else if (target == WeightType::kF16) kernels.to_half(row, n, reinterpret_cast<uint16_t*>(out));
  else quantize_row(target, row, n, out);
}

}  // namespace

size_t quantize_rows(const KernelTable& kernels, ThreadPool& pool, const SourceRows& source, WeightType target,
                     const float* importance, uint8_t* out) {
  const size_t in_bytes = row_bytes(traits_of(source.type), source.n_cols);
  const size_t out_bytes = row_bytes(traits_of(target), source.n_cols);
  const size_t n_shares = pool.size();
  std::vector<std::vector<float>> rows(n_shares, std::vector<float>(source.n_cols));  // one row as float, per share
  std::atomic<size_t> bad_row{source.n_rows};
  pool.parallel_for(n_shares, [&](size_t begin, size_t end) {
    for (size_t share = begin; share < end; ++share) {
      float* row = rows[share].data();
      for (size_t r = source.n_rows * share / n_shares; r < source.n_rows * (share + 1) / n_shares; ++r) {
        if (!kernels.widen(source.type, source.data + r * in_bytes, source.n_cols, row)) {
          bad_row.store(r);
          return;
        }
        encode(kernels, target, row, importance, source.n_cols, out + r * out_bytes);
      }
    }
  });
  return bad_row.load();
}

void dequantize_rows(ThreadPool& pool, WeightType type, const uint8_t* data, size_t n_rows, size_t n_cols, float* out) {
  const size_t bytes = row_bytes(traits_of(type), n_cols);
  pool.parallel_for(n_rows, [&](size_t begin, size_t end) {
    for (size_t r = begin; r < end; ++r) dequantize_row(type, data + r * bytes, n_cols, out + r * n_cols);
  });
}

}  // namespace belle
