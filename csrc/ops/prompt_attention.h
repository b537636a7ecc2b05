// Attention of prompts, on tiers with a kernel for many queries over all pages of a sequence.
#pragma once

#include "ops/layer_attention.h"

namespace belle {

/// Whether a pass takes it: where quantized matrices meet wide forms of the activations too, the cache is f16 or q8,
/// and the tier's kernel takes such heads.
bool takes_prompt_attention(const OpsContext& context, const KvShape& kv) noexcept;

/// attention(), with other bits: out [n_rows, n_heads, head_dim].
void prompt_attention(const OpsContext& context, const LayerAttention& all, ScratchPool& scratch, float* out);

}  // namespace belle
