#include "ops/linear_input.h"

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

const uint8_t* LinearInput::packed(ActivationForm form) {
  Buffer& buffer = storage_.packed[static_cast<size_t>(form)];
  bool& done = packed_done_[static_cast<size_t>(form)];
  if (!done) {
    const OperationTimer timer(context_.profile, Operation::kQuantize);
    const size_t n_bytes = wide(form).packed_bytes(n_tokens_, n_cols_);
    if (buffer.size() < n_bytes) buffer = Buffer(n_bytes);
    const size_t n_tiles = (n_tokens_ + wide(form).tile_tokens - 1) / wide(form).tile_tokens;
    context_.pool.parallel_for(n_tiles, [&](size_t begin, size_t end) {
      wide(form).pack({x_, n_tokens_, n_cols_, begin, end, buffer.data()});
    });
    done = true;
  }
  return buffer.data();
}

ScratchPool& LinearInput::scratch(ActivationForm form) {
  storage_.scratch.fit(context_.pool.size(), wide(form).scratch_bytes);
  return storage_.scratch;
}

}  // namespace belle
