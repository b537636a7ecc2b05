#include "ops/activation_policy.h"

#include <algorithm>
#include <stdexcept>

#include "ops/outlier_columns.h"

namespace belle {
namespace {

constexpr ActivationForm kFastestFirst[] = {ActivationForm::kSlab256, ActivationForm::kBf16, ActivationForm::kBlock32};

double excess_of(const FormErrors& errors, ActivationForm form) noexcept {
  const double block = errors.forms[static_cast<size_t>(ActivationForm::kBlock32)];
  const double error = errors.forms[static_cast<size_t>(form)];
  return (error * error - block * block) / (errors.weights * errors.weights + block * block);
}

// The fastest form with at most this excess; block32 has none.
ActivationForm fastest_within(const FormErrors& errors, double excess) noexcept {
  for (const ActivationForm form : kFastestFirst) {
    if (excess_of(errors, form) <= excess) return form;  // false for NaN
  }
  return ActivationForm::kBlock32;
}

}  // namespace

const char* name_of(ActivationForm form) noexcept {
  constexpr const char* kNames[kActivationFormCount] = {"block32", "slab256", "bf16"};
  return kNames[static_cast<size_t>(form)];
}

std::vector<ActivationForm> forms_of(const KernelTable& kernels) {
  std::vector<ActivationForm> forms = {ActivationForm::kBlock32};
  for (size_t i = 1; i < kActivationFormCount; ++i) {
    if (kernels.wide[i] != nullptr) forms.push_back(static_cast<ActivationForm>(i));
  }
  return forms;
}

bool has_wide(const KernelTable& kernels, ActivationForm form, WeightType type) noexcept {
  const WideKernels* wide = kernels.wide[static_cast<size_t>(form)];
  return wide != nullptr && wide->matmul[static_cast<size_t>(type)] != nullptr;
}

bool any_choice(const KernelTable& kernels, const std::vector<Matrix>& matrices) {
  for (const ActivationForm form : forms_of(kernels)) {
    const auto wide = [&](const Matrix& matrix) { return has_wide(kernels, form, matrix.type); };
    if (form != ActivationForm::kBlock32 && std::any_of(matrices.begin(), matrices.end(), wide)) return true;
  }
  return false;
}

ActivationForm form_named(const std::string& name, const KernelTable& kernels) {
  std::string choices;
  for (const ActivationForm form : forms_of(kernels)) {
    if (name == name_of(form)) return form;
    choices += std::string(choices.empty() ? "" : ", ") + name_of(form);
  }
  throw std::invalid_argument("activations='" + name + "' is unknown to the tier " + kernels.name +
                              "; choices: auto, " + choices);
}

bool ActivationPolicy::any_wide() const noexcept {
  const auto wide = [](const ActivationChoice& choice) { return choice.form != ActivationForm::kBlock32; };
  return default_form_ != ActivationForm::kBlock32 || std::any_of(choices_.begin(), choices_.end(), wide);
}

void ActivationPolicy::measure(const OpsContext& context, LinearInput& input, const Matrix& weight) {
  if (weight.policy_index == kNoPolicy) return;
  if (choices_.size() <= weight.policy_index) choices_.resize(weight.policy_index + 1);
  ActivationChoice& choice = choices_[weight.policy_index];
  choice.tensor = weight.name;
  choice.type = weight.type;
  choice.measured = true;
  if (has_wide(context.kernels, ActivationForm::kSlab256, weight.type)) {
    choice.outliers = outlier_columns(input.floats(), input.n_tokens(), input.n_cols());
  }
  choice.errors = measure_forms(context, input, weight, choice.outliers);
}

void ActivationPolicy::choose() {
  measuring_ = false;
  double total = 0.0;
  size_t n_measured = 0;
  for (ActivationChoice& choice : choices_) {
    if (!choice.measured) continue;
    choice.form = fastest_within(choice.errors, kLargestExcess);
    total += std::max(0.0, excess_of(choice.errors, choice.form));
    ++n_measured;
  }
  while (total > kMeanExcess * static_cast<double>(n_measured)) {
    const auto excess = [](const ActivationChoice& choice) {
      return choice.measured ? std::max(0.0, excess_of(choice.errors, choice.form)) : 0.0;
    };
    ActivationChoice& worst =
        *std::max_element(choices_.begin(), choices_.end(),
                          [&](const ActivationChoice& a, const ActivationChoice& b) { return excess(a) < excess(b); });
    if (excess(worst) == 0.0) break;
    total -= excess(worst);
    worst.form = fastest_within(worst.errors, 0.0);
  }
  for (ActivationChoice& choice : choices_) {
    if (choice.form != ActivationForm::kSlab256) choice.outliers.clear();
  }
}

std::vector<ActivationChoice> ActivationPolicy::measured() const {
  std::vector<ActivationChoice> measured;
  for (const ActivationChoice& choice : choices_) {
    if (choice.measured) measured.push_back(choice);
  }
  return measured;
}

}  // namespace belle
