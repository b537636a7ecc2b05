#include "model/config.h"

#include "model/architectures.h"
#include "model/config_keys.h"
#include "ops/attention.h"

namespace belle {
namespace {

void refuse_experts(const ConfigKeys& keys) {
  for (const char* key : {"expert_count", "expert_used_count"}) {
    if (keys.count(key, 0) > 0) keys.unsupported(key, "mixture of experts");
  }
}

void read_heads(const ConfigKeys& keys, ModelConfig& config) {
  if (config.n_heads % config.n_kv_heads != 0) {
    keys.fail("attention.head_count_kv", "is " + std::to_string(config.n_kv_heads) + ", expected a divisor of the " +
                                             std::to_string(config.n_heads) + " heads");
  }
  if (!keys.has("attention.key_length") && config.hidden_size % config.n_heads != 0) {
    keys.fail("embedding_length", "is not a multiple of the " + std::to_string(config.n_heads) + " heads");
  }
  config.head_dim = keys.size("attention.key_length", config.hidden_size / config.n_heads);
  if (config.head_dim > kMaxHeadDim) {
    keys.fail("attention.key_length", "gives heads of " + std::to_string(config.head_dim) + ", expected at most " +
                                          std::to_string(kMaxHeadDim));
  }
  if (keys.size("attention.value_length", config.head_dim) != config.head_dim) {
    keys.unsupported("attention.value_length", "a value size that differs from the key size");
  }
}

}  // namespace

ModelConfig read_config(const GgufFile& gguf) {
  const Architecture& architecture = architecture_of(gguf);
  ModelConfig config;
  config.architecture = architecture.name;
  const ConfigKeys keys(gguf, config.architecture);
  refuse_experts(keys);
  config.n_layers = keys.size("block_count");
  if (config.n_layers > gguf.tensors().size()) {  // before anything is allocated per layer
    keys.fail("block_count", "is " + std::to_string(config.n_layers) + ", but the file has only " +
                                 std::to_string(gguf.tensors().size()) + " tensors");
  }
  config.n_heads = keys.size("attention.head_count");
  config.n_kv_heads = keys.size("attention.head_count_kv", config.n_heads);
  config.hidden_size = keys.size("embedding_length");
  config.feed_forward_size = keys.size("feed_forward_length");
  config.context_length = keys.size("context_length", 2048);
  read_heads(keys, config);
  architecture.read_config(keys, config);
  return config;
}

}  // namespace belle
