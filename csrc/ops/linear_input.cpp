#include "ops/linear_input.h"

#include <algorithm>

#include "kernels/activation_order.h"

namespace belle {

const float* LinearInput::floats() {
  if (source_.run) run_rows(context_, source_, n_tokens_);
  source_.run = nullptr;
  return x_;
}

const ActivationBlock* LinearInput::blocks() {
  if (blocks_done_) return storage_.blocks.data();
  const float* x = floats();
  const OperationTimer timer(context_.profile, Operation::kQuantize);
  const size_t n_blocks = n_cols_ / kBlockSize;
  if (storage_.blocks.size() < n_tokens_ * n_blocks) storage_.blocks.resize(n_tokens_ * n_blocks);
  context_.pool.parallel_for(n_tokens_ * n_blocks, [&](size_t begin, size_t end) {
    while (begin < end) {
      const size_t token = begin / n_blocks, block = begin % n_blocks, n = std::min(n_blocks - block, end - begin);
      const ActivationRow row = activation_row(n_tokens_, n_blocks, token);
      context_.kernels.quantize_activations(x + begin * kBlockSize, n,
                                            storage_.blocks.data() + row.first + block * row.stride, row.stride);
      begin += n;
    }
  });
  blocks_done_ = true;
  return storage_.blocks.data();
}

PackedInput LinearInput::packed(ActivationForm form, Span<const uint32_t> outliers) {
  const bool slabs = form == ActivationForm::kSlab256;
  const bool same =
      !slabs || std::equal(outliers.begin(), outliers.end(), outliers_.columns, outliers_.columns + outliers_.n);
  Buffer& buffer = storage_.packed[static_cast<size_t>(form)];
  bool& done = packed_done_[static_cast<size_t>(form)];
  if (done && same) return {buffer.data(), slabs ? outliers_ : Outliers{}};

  const OperationTimer timer(context_.profile, source_.run ? source_.operation : Operation::kQuantize);
  const size_t n_bytes = wide(form).packed_bytes(n_tokens_, n_cols_);
  if (buffer.size() < n_bytes) buffer = Buffer(n_bytes);
  std::vector<float>& values = storage_.outliers;
  if (slabs) {
    if (values.size() < n_tokens_ * outliers.size()) values.resize(n_tokens_ * outliers.size());
    outliers_ = {outliers.data(), outliers.size(), values.data()};
  }
  const Outliers left_out = slabs ? outliers_ : Outliers{};
  const size_t tile_tokens = wide(form).tile_tokens, n_tiles = (n_tokens_ + tile_tokens - 1) / tile_tokens;
  context_.pool.parallel_for(n_tiles, [&](size_t begin, size_t end) {
    for (size_t tile = begin; tile < end; ++tile) {
      const size_t first = tile * tile_tokens, last = std::min(first + tile_tokens, n_tokens_);
      if (source_.run) source_.run(first, last);
      for (size_t t = first; t < last; ++t) {
        for (size_t i = 0; i < left_out.n; ++i) {
          values[t * left_out.n + i] = x_[t * n_cols_ + left_out.columns[i]];
        }
      }
      wide(form).pack({x_, n_tokens_, n_cols_, tile, tile + 1, buffer.data(), left_out});
    }
  });
  source_.run = nullptr;
  done = true;
  return {buffer.data(), left_out};
}

ScratchPool& LinearInput::scratch(ActivationForm form) {
  storage_.scratch.fit(context_.pool.size(), wide(form).scratch_bytes);
  return storage_.scratch;
}

}  // namespace belle
