#include "tuning/calibration.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "tuning/outlier_columns.h"

namespace belle {
namespace {

// The first half names outlier columns, the second measures what the forms make of others.
constexpr size_t kCalibrationTokens = 16, kMeasuredFrom = kCalibrationTokens / 2;

// Ids spread evenly over the vocabulary, and so each half of them: the same ones for every load of a model.
std::vector<int32_t> calibration_tokens(size_t n_ids) {
  std::vector<int32_t> tokens;
  for (size_t i = 0; i < kCalibrationTokens; ++i) {
    const size_t place = i < kMeasuredFrom ? 2 * i : 2 * (i - kMeasuredFrom) + 1;
    tokens.push_back(static_cast<int32_t>((2 * place + 1) * n_ids / (2 * kCalibrationTokens)));
  }
  return tokens;
}

// Whether the tier has more than one form for any of the matrices.
bool any_choice(const KernelTable& kernels, const std::vector<Matrix>& matrices) {
  for (const ActivationForm form : forms_of(kernels)) {
    const auto wide = [&](const Matrix& matrix) { return has_wide(kernels, form, matrix.type); };
    if (form != ActivationForm::kBlock32 && std::any_of(matrices.begin(), matrices.end(), wide)) return true;
  }
  return false;
}

// Measures every quantized matrix with the input that reaches it.
class Measurement final : public InputObserver {
 public:
  explicit Measurement(const OpsContext& context) noexcept : context_(context) {}

  void see(LinearInput& input, const Matrix& weight) override {
    if (!weight.quantized()) return;
    std::vector<uint32_t> outliers;
    if (has_wide(context_.kernels, ActivationForm::kSlab256, weight.type)) {
      outliers = outlier_columns(input.floats(), input.n_tokens(), input.n_cols());
    }
    const FormErrors errors = measure_forms(context_, input, weight, outliers, kMeasuredFrom);
    measured_.push_back(
        {weight.index, weight.name, weight.type, weight.n_rows * weight.n_cols, std::move(outliers), errors});
  }

  void see_addition(const float* branch, const float* hidden, size_t n_tokens, size_t n) override {
    double sum = 0.0;
    size_t n_counted = 0;
    for (size_t token = kMeasuredFrom; token < n_tokens; ++token) {
      const double share = square_sum(branch + token * n, n) / square_sum(hidden + token * n, n);
      if (!std::isfinite(share)) continue;
      sum += share;
      ++n_counted;
    }
    for (; n_branches_ < measured_.size(); ++n_branches_) {
      measured_[n_branches_].influence = n_counted > 0 ? sum / static_cast<double>(n_counted) : 1.0;
    }
  }

  std::vector<ActivationChoice> take() {
    std::sort(measured_.begin(), measured_.end(),
              [](const ActivationChoice& a, const ActivationChoice& b) { return a.index < b.index; });
    return std::move(measured_);
  }

 private:
  static double square_sum(const float* x, size_t n) noexcept {
    double sum = 0.0;
    for (size_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * x[i];
    return sum;
  }

  const OpsContext& context_;
  std::vector<ActivationChoice> measured_;
  size_t n_branches_ = 0;  // measured matrices whose branch has been added
};

// The output matrix is not measured and stays in block32: prefill needs one row of logits, and its errors go straight
// into them.
std::vector<ActivationChoice> measure(Decoder& decoder, const OpsContext& context,
                                      const std::shared_ptr<KvPool>& pages) {
  const std::vector<int32_t> tokens = calibration_tokens(decoder.embedding_rows());
  KvSequence kv(pages);
  kv.reserve(0, tokens.size());
  std::vector<KvRow> rows;
  for (size_t i = 0; i < tokens.size(); ++i) rows.push_back({kv.page_table(), static_cast<uint32_t>(i)});
  Measurement measurement(context);
  PassInput input{tokens, rows, {}};
  input.observer = &measurement;
  decoder.forward(
      pages->shape(), input, [] {}, nullptr);
  return measurement.take();
}

}  // namespace

Calibration calibrate(const std::string& wanted, Decoder& decoder, const OpsContext& context,
                      const std::shared_ptr<KvPool>& pages) {
  const char* forced = std::getenv("BELLE_ACTIVATIONS");
  const std::string name = wanted == "auto" && forced != nullptr && *forced != '\0' ? forced : wanted;
  if (name != "auto") return {{form_named(name, context.kernels), {}}, {}};
  if (!any_choice(context.kernels, decoder.matrices())) return {};
  std::vector<ActivationChoice> choices = measure(decoder, context, pages);
  choose_forms(choices);
  return {forms_from(choices), choices};
}

}  // namespace belle
