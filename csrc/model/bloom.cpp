// BLOOM (Le Scao et al. 2022): LayerNorm on the embeddings, ALiBi, fused QKV, GELU, biases everywhere.
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "loading/weights.h"
#include "model/architectures.h"
#include "model/config_keys.h"
#include "model/decoder.h"
#include "ops/row_ops.h"

namespace belle {
namespace {

// ---- config and weights

void read_bloom(const ConfigKeys& keys, ModelConfig& config) {
  if (config.n_heads * config.head_dim != config.hidden_size || config.n_kv_heads != config.n_heads) {
    keys.fail("attention.head_count", "contradicts the other sizes: BLOOM's heads share the hidden size evenly");
  }
  config.norm_eps = keys.norm_eps("attention.layer_norm_epsilon");
}

struct BloomLayer {
  Norm attention_norm;
  Projection qkv;               // [3 * hidden, hidden]: all queries, then keys, then values
  Projection attention_output;  // [hidden, hidden]
  Norm feed_forward_norm;
  Projection up;    // [feed_forward, hidden]
  Projection down;  // [hidden, feed_forward]
};

struct BloomWeights {
  Matrix token_embedding;  // [vocab, hidden]
  Norm embedding_norm;
  std::vector<BloomLayer> layers;
  Norm output_norm;
  Matrix output;  // [vocab, hidden]; the token embedding where the file ties them
  std::vector<Matrix> matrices;
  Buffer image;
};

void request(WeightLoader& loader, const ModelConfig& config, BloomWeights& weights) {
  const size_t hidden = config.hidden_size;
  loader.matrix("token_embd.weight", loader.rows_of("token_embd.weight"), hidden, weights.token_embedding);
  loader.layer_norm("token_embd_norm", hidden, weights.embedding_norm);
  weights.layers.resize(config.n_layers);
  for (size_t i = 0; i < config.n_layers; ++i) {
    BloomLayer& layer = weights.layers[i];
    const std::string block = "blk." + std::to_string(i) + ".";
    loader.layer_norm(block + "attn_norm", hidden, layer.attention_norm);
    loader.projection(block + "attn_qkv", 3 * hidden, hidden, layer.qkv);
    loader.projection(block + "attn_output", hidden, hidden, layer.attention_output);
    loader.layer_norm(block + "ffn_norm", hidden, layer.feed_forward_norm);
    loader.projection(block + "ffn_up", config.feed_forward_size, hidden, layer.up);
    loader.projection(block + "ffn_down", hidden, config.feed_forward_size, layer.down);
  }
  loader.layer_norm("output_norm", hidden, weights.output_norm);
  if (loader.has("output.weight")) {
    loader.matrix("output.weight", loader.rows_of("output.weight"), hidden, weights.output);
  }
}

// Activations of one pass; sized for its rows.
struct BloomBuffers {
  FloatBuffer hidden;        // [n_rows, hidden]
  FloatBuffer normed;        // [n_rows, hidden]
  FloatBuffer qkv;           // [n_rows, 3 * hidden]
  FloatBuffer attended;      // [n_rows, n_heads, head_dim]
  FloatBuffer feed_forward;  // [n_rows, feed_forward]
  FloatBuffer projected;     // [n_rows, hidden]
  QuantizedStorage quantized;

  void fit(const ModelConfig& config, size_t n_rows) {
    for (FloatBuffer* buffer : {&hidden, &normed, &attended, &projected}) buffer->fit(n_rows * config.hidden_size);
    qkv.fit(n_rows * 3 * config.hidden_size);
    feed_forward.fit(n_rows * config.feed_forward_size);
  }
};

class Bloom final : public Decoder {
 public:
  Bloom(const ModelConfig& config, const OpsContext& context, BloomWeights weights)
      : Decoder(config, context), weights_(std::move(weights)), slopes_(alibi_slopes(config.n_heads)) {}

  size_t vocab_size() const noexcept override { return output().n_rows; }
  size_t embedding_rows() const noexcept override { return weights_.token_embedding.n_rows; }
  size_t weight_bytes() const noexcept override { return weights_.image.size(); }
  const std::vector<Matrix>& matrices() const noexcept override { return weights_.matrices; }
  bool keys_can_move() const noexcept override { return true; }  // ALiBi: keys carry no position

 private:
  float* fit(Span<const KvRow> rows) override {
    buffers_.fit(config_, rows.size());
    return buffers_.hidden.data();
  }

  void embed_rows(Span<const int32_t> tokens) override {
    float* x = buffers_.hidden.data();
    embed(context_, weights_.token_embedding, tokens, x);
    run_rows(context_, norm(weights_.embedding_norm, x, x), tokens.size());  // the embeddings themselves are normalized
  }

  void run_layer(const KvShape& kv, size_t layer, Span<const KvRow> rows) override {
    attend(kv, layer, rows);
    feed_forward(weights_.layers[layer], rows.size());
  }

  const float* normed_output(Span<const uint32_t> rows) override {
    float* chosen = buffers_.normed.data();
    gather_rows(buffers_.hidden.data(), config_.hidden_size, rows, chosen);
    run_rows(context_, norm(weights_.output_norm, chosen, chosen), rows.size());
    return chosen;
  }

  void project_to_vocabulary(const float* normed, size_t n_rows, float* logits) override {
    linear(context_, buffers_.quantized, normed, n_rows, output(), nullptr, logits);
  }

  const Matrix& output() const noexcept {
    return weights_.output.present() ? weights_.output : weights_.token_embedding;
  }

  RowOperation norm(const Norm& norm, const float* x, float* out) const {
    return layer_norm_rows(context_, x, config_.hidden_size, norm.weight, norm.bias, config_.norm_eps, out);
  }

  // y = projection of the normed hidden state
  void project_normed(const Norm& weights, const Projection& projection, size_t n_rows, float* y) {
    float* normed = buffers_.normed.data();
    LinearInput input(context_, buffers_.quantized, norm(weights, buffers_.hidden.data(), normed), normed, n_rows,
                      config_.hidden_size);
    const LinearOutput output{projection.weight, projection.bias, y};
    project(input, {&output, 1});
  }

  // ---- attention: x += W_o attention(LN(x)) + b_o

  void attend(const KvShape& kv, size_t layer_index, Span<const KvRow> rows) {
    const BloomLayer& layer = weights_.layers[layer_index];
    const size_t n_rows = rows.size(), hidden = config_.hidden_size;
    project_normed(layer.attention_norm, layer.qkv, n_rows, buffers_.qkv.data());

    const HeadRows queries{buffers_.qkv.data(), 3 * hidden};
    const HeadRows keys{buffers_.qkv.data() + hidden, 3 * hidden};
    const HeadRows values{buffers_.qkv.data() + 2 * hidden, 3 * hidden};
    const AttentionShape shape{config_.n_heads, 1.0f / std::sqrt(static_cast<float>(config_.head_dim)), slopes_.data()};
    context_.kv_writer().store(kv, layer_index, rows, keys, values);
    attention(context_, kv, shape, layer_index, rows, queries, buffers_.quantized.scratch, buffers_.attended.data());
    LinearInput attended(context_, buffers_.quantized, buffers_.attended.data(), n_rows, hidden);
    add_projection(layer.attention_output, attended);
  }

  // ---- feed-forward: x += W_down gelu(W_up LN(x) + b_up) + b_down

  void feed_forward(const BloomLayer& layer, size_t n_rows) {
    float* x = buffers_.feed_forward.data();
    project_normed(layer.feed_forward_norm, layer.up, n_rows, x);
    LinearInput activated(context_, buffers_.quantized, gelu_rows(context_, x, config_.feed_forward_size), x, n_rows,
                          config_.feed_forward_size);
    add_projection(layer.down, activated);
  }

  void add_projection(const Projection& projection, LinearInput& input) {
    const LinearOutput projected{projection.weight, projection.bias, buffers_.projected.data()};
    project(input, {&projected, 1});
    run_rows(context_, add_rows(context_, buffers_.hidden.data(), projected.y, config_.hidden_size), input.n_tokens());
    show_addition(projected.y, buffers_.hidden.data(), input.n_tokens());
  }

  BloomWeights weights_;
  std::vector<float> slopes_;  // [n_heads]
  BloomBuffers buffers_;
};

std::unique_ptr<Decoder> load_bloom(const GgufFile& gguf, const ModelConfig& config, const OpsContext& context,
                                    LoadProgress* progress) {
  BloomWeights weights;
  WeightLoader loader(gguf);
  request(loader, config, weights);
  weights.image = loader.load(context.pool, progress);
  weights.matrices = loader.matrices();
  return std::make_unique<Bloom>(config, context, std::move(weights));
}

void check_bloom(const GgufFile& gguf, const ModelConfig& config) {
  BloomWeights weights;
  WeightLoader loader(gguf);
  request(loader, config, weights);
  loader.refuse_unrequested();
}

}  // namespace

const Architecture kBloom = {"bloom", read_bloom, check_bloom, load_bloom};

}  // namespace belle
