// The numbers that define a model, read from GGUF metadata under llama.cpp's keys.
#pragma once

#include <cstdint>
#include <string>

#include "gguf/reader.h"

namespace belle {

constexpr uint64_t kMaxSize = uint64_t{1} << 24;              // of a size in the metadata; far above any real model's
constexpr double kNormEpsAbove = 1e-30, kNormEpsBelow = 1.0;  // what is between them is accepted

struct ModelConfig {
  std::string architecture;  // a name of model/architectures.cpp
  size_t n_layers = 0;
  size_t n_heads = 0;
  size_t n_kv_heads = 0;
  size_t head_dim = 0;
  size_t hidden_size = 0;
  size_t feed_forward_size = 0;
  size_t context_length = 0;  // trained context
  float norm_eps = 0.0f;
  // LLaMA only
  size_t rope_dims = 0;  // rotated leading dimensions of a head
  double rope_theta = 0.0;
  double rope_scale = 1.0;  // positions are multiplied by it (1 / linear factor)
};

/// Throws ModelFormatError for missing or contradictory numbers and UnsupportedModelError, naming the key, for an
/// architecture or feature that this engine does not compute.
ModelConfig read_config(const GgufFile& gguf);

}  // namespace belle
