#include "model/decoder.h"

#include <algorithm>

namespace belle {

std::unique_ptr<Decoder> load_decoder(const GgufFile& gguf, const OpsContext& context) {
  const ModelConfig config = read_config(gguf);
  return config.architecture == "bloom" ? load_bloom(gguf, config, context) : load_llama(gguf, config, context);
}

void check_decoder(const GgufFile& gguf) {
  const ModelConfig config = read_config(gguf);
  config.architecture == "bloom" ? check_bloom(gguf, config) : check_llama(gguf, config);
}

void gather_rows(const float* x, size_t n, Span<const uint32_t> rows, float* out) {
  for (size_t i = 0; i < rows.size(); ++i) std::copy_n(x + rows[i] * n, n, out + i * n);
}

}  // namespace belle
