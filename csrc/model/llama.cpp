// LLaMA (Touvron et al. 2023): RMSNorm, rotary positions, grouped-query attention, SwiGLU.
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "loading/weights.h"
#include "model/architectures.h"
#include "model/config_keys.h"
#include "model/decoder.h"
#include "ops/rope.h"
#include "ops/row_ops.h"

namespace belle {
namespace {

// ---- config and weights

void read_rope(const ConfigKeys& keys, ModelConfig& config) {
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

void read_llama(const ConfigKeys& keys, ModelConfig& config) {
  config.norm_eps = keys.norm_eps("attention.layer_norm_rms_epsilon");
  read_rope(keys, config);
}

struct LlamaLayer {
  Norm attention_norm;
  Projection q;                 // [n_heads * head_dim, hidden], rows in rotary-pair order
  Projection k;                 // [n_kv_heads * head_dim, hidden], likewise
  Projection v;                 // [n_kv_heads * head_dim, hidden]
  Projection attention_output;  // [hidden, n_heads * head_dim]
  Norm feed_forward_norm;
  Projection gate;  // [feed_forward, hidden]
  Projection up;    // [feed_forward, hidden]
  Projection down;  // [hidden, feed_forward]
};

struct LlamaWeights {
  Matrix token_embedding;  // [vocab, hidden]
  std::vector<LlamaLayer> layers;
  Norm output_norm;
  Matrix output;  // [vocab, hidden]; the token embedding where the file ties them
  std::vector<Matrix> matrices;
  Buffer image;
};

void request(WeightLoader& loader, const ModelConfig& config, LlamaWeights& weights) {
  const size_t hidden = config.hidden_size;
  const size_t q_size = config.n_heads * config.head_dim, kv_size = config.n_kv_heads * config.head_dim;
  loader.matrix("token_embd.weight", loader.rows_of("token_embd.weight"), hidden, weights.token_embedding);
  weights.layers.resize(config.n_layers);
  for (size_t i = 0; i < config.n_layers; ++i) {
    LlamaLayer& layer = weights.layers[i];
    const std::string block = "blk." + std::to_string(i) + ".";
    loader.vector(block + "attn_norm.weight", hidden, layer.attention_norm.weight);
    loader.projection(block + "attn_q", q_size, hidden, layer.q);
    loader.projection(block + "attn_k", kv_size, hidden, layer.k);
    loader.projection(block + "attn_v", kv_size, hidden, layer.v);
    loader.projection(block + "attn_output", hidden, q_size, layer.attention_output);
    loader.vector(block + "ffn_norm.weight", hidden, layer.feed_forward_norm.weight);
    loader.projection(block + "ffn_gate", config.feed_forward_size, hidden, layer.gate);
    loader.projection(block + "ffn_up", config.feed_forward_size, hidden, layer.up);
    loader.projection(block + "ffn_down", hidden, config.feed_forward_size, layer.down);
  }
  loader.vector("output_norm.weight", hidden, weights.output_norm.weight);
  if (loader.has("output.weight")) {
    loader.matrix("output.weight", loader.rows_of("output.weight"), hidden, weights.output);
  }
}

// Activations of one pass; sized for its rows.
struct LlamaBuffers {
  FloatBuffer hidden;     // [n_rows, hidden]
  FloatBuffer normed;     // [n_rows, hidden]
  FloatBuffer q;          // [n_rows, n_heads, head_dim]
  FloatBuffer k;          // [n_rows, n_kv_heads, head_dim]
  FloatBuffer v;          // [n_rows, n_kv_heads, head_dim]
  FloatBuffer attended;   // [n_rows, n_heads, head_dim]
  FloatBuffer gate;       // [n_rows, feed_forward]
  FloatBuffer up;         // [n_rows, feed_forward]
  FloatBuffer projected;  // [n_rows, hidden]
  std::vector<uint32_t> positions;
  QuantizedStorage quantized;

  void fit(const ModelConfig& config, size_t n_rows) {
    for (FloatBuffer* buffer : {&hidden, &normed, &projected}) buffer->fit(n_rows * config.hidden_size);
    for (FloatBuffer* buffer : {&q, &attended}) buffer->fit(n_rows * config.n_heads * config.head_dim);
    for (FloatBuffer* buffer : {&k, &v}) buffer->fit(n_rows * config.n_kv_heads * config.head_dim);
    for (FloatBuffer* buffer : {&gate, &up}) buffer->fit(n_rows * config.feed_forward_size);
    positions.reserve(n_rows);
  }
};

class Llama final : public Decoder {
 public:
  Llama(const ModelConfig& config, const OpsContext& context, LlamaWeights weights)
      : Decoder(config, context),
        weights_(std::move(weights)),
        rope_(config.rope_dims, config.rope_theta, config.rope_scale) {}

  size_t vocab_size() const noexcept override { return output().n_rows; }
  size_t embedding_rows() const noexcept override { return weights_.token_embedding.n_rows; }
  size_t weight_bytes() const noexcept override { return weights_.image.size(); }
  const std::vector<Matrix>& matrices() const noexcept override { return weights_.matrices; }

  bool keys_can_move() const noexcept override { return true; }
  void shift_keys(const KvShape& kv, uint8_t* const* pages, size_t first, size_t last, size_t distance) override {
    rope_.rotate_keys_back(context_, kv, pages, first, last, distance);
  }

 private:
  float* fit(Span<const KvRow> rows) override {
    buffers_.fit(config_, rows.size());
    buffers_.positions.clear();
    for (const KvRow& row : rows) buffers_.positions.push_back(row.position);
    rope_.fill(buffers_.positions);  // the angles are the same in every layer
    return buffers_.hidden.data();
  }

  void embed_rows(Span<const int32_t> tokens) override {
    embed(context_, weights_.token_embedding, tokens, buffers_.hidden.data());
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
    return rms_norm_rows(context_, x, config_.hidden_size, norm.weight, config_.norm_eps, out);
  }

  // The normed hidden state as the input of matrices.
  LinearInput normed_input(const Norm& weights, size_t n_rows) {
    float* normed = buffers_.normed.data();
    return {context_, buffers_.quantized, norm(weights, buffers_.hidden.data(), normed), normed,
            n_rows,   config_.hidden_size};
  }

  // ---- attention: x += W_o attention(RMSNorm(x))

  void attend(const KvShape& kv, size_t layer_index, Span<const KvRow> rows) {
    const LlamaLayer& layer = weights_.layers[layer_index];
    const size_t n_rows = rows.size();
    LinearInput input = normed_input(layer.attention_norm, n_rows);
    const LinearOutput projections[] = {{layer.q.weight, layer.q.bias, buffers_.q.data()},
                                        {layer.k.weight, layer.k.bias, buffers_.k.data()},
                                        {layer.v.weight, layer.v.bias, buffers_.v.data()}};
    project(input, {projections, 3});
    rope_.rotate(context_, buffers_.q.data(), n_rows, config_.n_heads, config_.head_dim);
    rope_.rotate(context_, buffers_.k.data(), n_rows, config_.n_kv_heads, config_.head_dim);

    const HeadRows queries{buffers_.q.data(), config_.n_heads * config_.head_dim};
    const HeadRows keys{buffers_.k.data(), config_.n_kv_heads * config_.head_dim};
    const HeadRows values{buffers_.v.data(), config_.n_kv_heads * config_.head_dim};
    const AttentionShape shape{config_.n_heads, 1.0f / std::sqrt(static_cast<float>(config_.head_dim)), nullptr};
    context_.kv_writer().store(kv, layer_index, rows, keys, values);
    attention(context_, kv, shape, layer_index, rows, queries, buffers_.quantized.scratch, buffers_.attended.data());
    LinearInput attended(context_, buffers_.quantized, buffers_.attended.data(), n_rows,
                         config_.n_heads * config_.head_dim);
    add_projection(layer.attention_output, attended);
  }

  // ---- feed-forward: x += W_down (silu(W_gate h) * W_up h), h = RMSNorm(x)

  void feed_forward(const LlamaLayer& layer, size_t n_rows) {
    LinearInput input = normed_input(layer.feed_forward_norm, n_rows);
    const LinearOutput gate_and_up[] = {{layer.gate.weight, layer.gate.bias, buffers_.gate.data()},
                                        {layer.up.weight, layer.up.bias, buffers_.up.data()}};
    project(input, {gate_and_up, 2});
    float* gate = buffers_.gate.data();
    LinearInput gated(context_, buffers_.quantized,
                      silu_multiply_rows(context_, gate, buffers_.up.data(), config_.feed_forward_size, gate), gate,
                      n_rows, config_.feed_forward_size);
    add_projection(layer.down, gated);
  }

  void add_projection(const Projection& projection, LinearInput& input) {
    const LinearOutput projected{projection.weight, projection.bias, buffers_.projected.data()};
    project(input, {&projected, 1});
    run_rows(context_, add_rows(context_, buffers_.hidden.data(), projected.y, config_.hidden_size), input.n_tokens());
    show_addition(projected.y, buffers_.hidden.data(), input.n_tokens());
  }

  LlamaWeights weights_;
  RopeTable rope_;
  LlamaBuffers buffers_;
};

std::unique_ptr<Decoder> load_llama(const GgufFile& gguf, const ModelConfig& config, const OpsContext& context,
                                    LoadProgress* progress) {
  LlamaWeights weights;
  WeightLoader loader(gguf);
  request(loader, config, weights);
  weights.image = loader.load(context.pool, progress);
  weights.matrices = loader.matrices();
  return std::make_unique<Llama>(config, context, std::move(weights));
}

void check_llama(const GgufFile& gguf, const ModelConfig& config) {
  LlamaWeights weights;
  WeightLoader loader(gguf);
  request(loader, config, weights);
  loader.refuse_unrequested();
}

}  // namespace

const Architecture kLlama = {"llama", read_llama, check_llama, load_llama};

}  // namespace belle
