#include "ops/linear_input.h"

#include <algorithm>

namespace belle {

const ActivationBlock* LinearInput::blocks() {
  const size_t n_blocks = n_tokens_ * n_cols_ / kBlockSize;
  if (!blocks_done_) {
    const OperationTimer timer(context_.profile, Operation::kQuantize);
    if (storage_.blocks.size() < n_blocks) storage_.blocks.resize(n_blocks);
    context_.pool.parallel_for(n_blocks, [&](size_t begin, size_t end) {
      context_.kernels.quantize_activations(x_ + begin * kBlockSize, end - begin, storage_.blocks.data() + begin);
    });
    blocks_done_ = true;
  }
  return storage_.blocks.data();
}

Outliers LinearInput::gather(Span<const uint32_t> columns) {
  std::vector<float>& values = storage_.outliers;
  if (values.size() < n_tokens_ * columns.size()) values.resize(n_tokens_ * columns.size());
  for (size_t t = 0; t < n_tokens_; ++t) {
    for (size_t i = 0; i < columns.size(); ++i) values[t * columns.size() + i] = x_[t * n_cols_ + columns[i]];
  }
  return {columns.data(), columns.size(), values.data()};
}

PackedInput LinearInput::packed(ActivationForm form, Span<const uint32_t> outliers) {
  const bool slabs = form == ActivationForm::kSlab256;
  const bool same =
      !slabs || std::equal(outliers.begin(), outliers.end(), outliers_.columns, outliers_.columns + outliers_.n);
  Buffer& buffer = storage_.packed[static_cast<size_t>(form)];
  bool& done = packed_done_[static_cast<size_t>(form)];
  if (!done || !same) {
    const OperationTimer timer(context_.profile, Operation::kQuantize);
    const size_t n_bytes = wide(form).packed_bytes(n_tokens_, n_cols_);
    if (buffer.size() < n_bytes) buffer = Buffer(n_bytes);
    if (slabs) outliers_ = gather(outliers);
    const size_t n_tiles = (n_tokens_ + wide(form).tile_tokens - 1) / wide(form).tile_tokens;
    const Outliers left_out = slabs ? outliers_ : Outliers{};
    context_.pool.parallel_for(n_tiles, [&](size_t begin, size_t end) {
      wide(form).pack({x_, n_tokens_, n_cols_, begin, end, buffer.data(), left_out});
    });
    done = true;
  }
  return {buffer.data(), slabs ? outliers_ : Outliers{}};
}

ScratchPool& LinearInput::scratch(ActivationForm form) {
  storage_.scratch.fit(context_.pool.size(), wide(form).scratch_bytes);
  return storage_.scratch;
}

}  // namespace belle
