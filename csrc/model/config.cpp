#include "model/config.h"

#include <cmath>

#include "core/error.h"
#include "ops/attention.h"

namespace belle {
namespace {

constexpr const char* kOtherBackend = "; the llama.cpp backend may run it: Belle.load(path, backend=\"llama.cpp\")";

// The metadata of one architecture: keys without their "<architecture>." prefix.
class Keys {
 public:
  Keys(const GgufFile& gguf, const std::string& architecture) : gguf_(gguf), prefix_(architecture + ".") {}

  bool has(const std::string& key) const { return gguf_.find(prefix_ + key) != nullptr; }
  size_t size(const std::string& key) const { return checked(key, gguf_.get_uint(prefix_ + key)); }
  size_t size(const std::string& key, size_t fallback) const {
    return checked(key, gguf_.get_uint(prefix_ + key, fallback));
  }
  double number(const std::string& key) const { return gguf_.get_float(prefix_ + key); }
  double number(const std::string& key, double fallback) const { return gguf_.get_float(prefix_ + key, fallback); }
  std::string text(const std::string& key) const { return gguf_.get_string(prefix_ + key, ""); }

  [[noreturn]] void fail(const std::string& key, const std::string& message) const {
    throw ModelFormatError(gguf_.path() + ": metadata '" + prefix_ + key + "' " + message);
  }
  [[noreturn]] void unsupported(const std::string& key, const std::string& what) const {
    throw UnsupportedModelError(gguf_.path() + ": " + what + " ('" + prefix_ + key +
                                "') is not supported by the native engine" + kOtherBackend);
  }

 private:
  size_t checked(const std::string& key, uint64_t value) const {
    if (value == 0 || value > kMaxSize)
      fail(key, "is " + std::to_string(value) + ", expected 1 to " + std::to_string(kMaxSize));
    return static_cast<size_t>(value);
  }

  const GgufFile& gguf_;
  std::string prefix_;
};

float read_eps(const Keys& keys, const std::string& key) {
  const double eps = keys.number(key);
  if (!(eps > kNormEpsAbove && eps < kNormEpsBelow))
    keys.fail(key, "is " + std::to_string(eps) + ", expected between 0 and 1");
  return static_cast<float>(eps);
}

void read_rope(const Keys& keys, ModelConfig& config) {
  config.rope_dims = keys.size("rope.dimension_count", config.head_dim);
  if (config.rope_dims % 2 != 0 || config.rope_dims > config.head_dim) {
    keys.fail("rope.dimension_count", "is " + std::to_string(config.rope_dims) +
                                          ", expected an even number up to the head size " +
                                          std::to_string(config.head_dim));
  }
  config.rope_theta = keys.number("rope.freq_base", 10000.0);
  if (!(config.rope_theta >= 1.0 && std::isfinite(config.rope_theta))) {
    keys.fail("rope.freq_base", "is " + std::to_string(config.rope_theta) + ", expected a finite number from 1");
  }

  // As llama.cpp reads it: no type means linear, and files from before rope.scaling.* have scale_linear alone.
  const std::string scaling = keys.text("rope.scaling.type");
  double factor = keys.number("rope.scaling.factor", keys.number("rope.scale_linear", 1.0));
  if (scaling == "none") factor = 1.0;
  else if (!scaling.empty() && scaling != "linear")
    keys.unsupported("rope.scaling.type", "RoPE scaling '" + scaling + "'");
  if (!(factor > 1e-6 && factor < 1e6)) {
    keys.fail("rope.scaling.factor", "is " + std::to_string(factor) + ", expected between 0.000001 and 1000000");
  }
  config.rope_scale = 1.0 / factor;
}

}  // namespace

ModelConfig read_config(const GgufFile& gguf) {
  ModelConfig config;
  config.architecture = gguf.get_string("general.architecture");
  if (config.architecture != "bloom" && config.architecture != "llama") {
    throw UnsupportedModelError(gguf.path() + ": architecture '" + config.architecture +
                                "' is not supported by the native engine (it runs bloom and llama)" + kOtherBackend);
  }
  const Keys keys(gguf, config.architecture);
  for (const char* key : {"expert_count", "expert_used_count"}) {
    if (keys.has(key) && gguf.get_uint(config.architecture + "." + key) > 0)
      keys.unsupported(key, "mixture of experts");
  }
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
  if (config.architecture == "bloom") {
    if (config.n_heads * config.head_dim != config.hidden_size || config.n_kv_heads != config.n_heads) {
      keys.fail("attention.head_count", "contradicts the other sizes: BLOOM's heads share the hidden size evenly");
    }
    config.norm_eps = read_eps(keys, "attention.layer_norm_epsilon");
  } else {
    config.norm_eps = read_eps(keys, "attention.layer_norm_rms_epsilon");
    read_rope(keys, config);
  }
  return config;
}

}  // namespace belle
