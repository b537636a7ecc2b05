// The interface of a decoder-only transformer: rows of mixed sequences in, logits of chosen rows out.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/span.h"
#include "gguf/reader.h"
#include "model/config.h"
#include "ops/attention.h"
#include "ops/context.h"
#include "ops/linear.h"

namespace belle {

/// Rows of one pass, in order; a sequence's rows are consecutive positions and its pages are already writable.
struct PassInput {
  Span<const int32_t> tokens;
  Span<const KvRow> rows;           // one per token
  Span<const uint32_t> logit_rows;  // rows whose logits are wanted, ascending
};

/// Called between layers; throws Interrupted to leave the pass.
using InterruptCheck = std::function<void()>;

class Decoder {
 public:
  virtual ~Decoder() = default;

  const ModelConfig& config() const noexcept { return config_; }
  virtual size_t vocab_size() const noexcept = 0;                    // rows of the output matrix
  virtual size_t embedding_rows() const noexcept = 0;                // token ids below this are valid
  virtual size_t weight_bytes() const noexcept = 0;                  // resident weight image
  virtual const std::vector<Matrix>& matrices() const noexcept = 0;  // all of them, in the order of the image

  /// Writes logits [logit_rows.size(), vocab_size()]. Reuses its buffers: one pass at a time.
  virtual void forward(const KvShape& kv, const PassInput& input, const InterruptCheck& check, float* logits) = 0;

  /// Whether stored keys can move to other positions: they carry none (ALiBi), or one that can be turned back (rotary).
  virtual bool keys_can_move() const noexcept = 0;
  /// Adapts the stored keys of positions [first, last), which have just been moved down by `distance` positions.
  virtual void shift_keys(const KvShape&, uint8_t* const* /*pages*/, size_t /*first*/, size_t /*last*/,
                          size_t /*distance*/) {}

 protected:
  explicit Decoder(ModelConfig config) : config_(std::move(config)) {}

  ModelConfig config_;
};

/// Reads and packs the weights. Errors as in read_config and WeightLoader.
std::unique_ptr<Decoder> load_bloom(const GgufFile& gguf, const ModelConfig& config, const OpsContext& context);
std::unique_ptr<Decoder> load_llama(const GgufFile& gguf, const ModelConfig& config, const OpsContext& context);
std::unique_ptr<Decoder> load_decoder(const GgufFile& gguf, const OpsContext& context);

/// Throws what loading throws before it reads a weight: a file that passes has the metadata, tensors, shapes and types
/// of a model that this engine runs.
void check_bloom(const GgufFile& gguf, const ModelConfig& config);
void check_llama(const GgufFile& gguf, const ModelConfig& config);
void check_decoder(const GgufFile& gguf);

/// out [rows.size(), n] = the chosen rows of x [*, n].
void gather_rows(const float* x, size_t n, Span<const uint32_t> rows, float* out);

}  // namespace belle
