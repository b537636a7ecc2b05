// Loading's last step: the form that each weight's activations take in prefill, from a short pass over the real
// weights.
#include <cstdlib>

#include "engine/engine.h"

namespace belle {
namespace {

// The choices of the test models (docs/PERFORMANCE.md) are the same with 8 tokens as with 64; with 4 one differs.
constexpr size_t kCalibrationTokens = 8;

// Ids spread evenly over the vocabulary: the same ones for every load of a model.
std::vector<int32_t> calibration_tokens(size_t n_ids) {
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < kCalibrationTokens; ++i) {
    tokens.push_back(static_cast<int32_t>((2 * i + 1) * n_ids / (2 * kCalibrationTokens)));
  }
  return tokens;
}

}  // namespace

void Engine::choose_activation_forms(const std::string& wanted) {
  const char* forced = std::getenv("BELLE_ACTIVATIONS");
  const std::string name = wanted == "auto" && forced != nullptr && *forced != '\0' ? forced : wanted;
  if (name != "auto") policy_ = ActivationPolicy(form_named(name, context_.kernels));
  else if (any_choice(context_.kernels, decoder_->matrices())) calibrate();
}

// The output matrix stays in block 32: prefill needs one row of logits, and its errors go straight into them.
void Engine::calibrate() {
  const std::vector<int32_t> tokens = calibration_tokens(decoder_->embedding_rows());
  KvSequence kv(kv_pool_);
  kv.reserve(0, tokens.size());
  std::vector<KvRow> rows;
  for (size_t i = 0; i < tokens.size(); ++i) rows.push_back({kv.page_table(), static_cast<uint32_t>(i)});
  policy_.begin_measuring();
  decoder_->forward(
      kv_shape(), PassInput{tokens, rows, {}}, [] {}, nullptr);
  policy_.choose();
}

}  // namespace belle
