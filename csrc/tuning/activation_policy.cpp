#include "tuning/activation_policy.h"

#include <algorithm>

namespace belle {
namespace {

constexpr ActivationForm kFastestFirst[] = {ActivationForm::kSlab256, ActivationForm::kBf16, ActivationForm::kBlock32};

double excess_of(const FormErrors& errors, ActivationForm form) noexcept {
  const double block = errors.forms[static_cast<size_t>(ActivationForm::kBlock32)];
  const double error = errors.forms[static_cast<size_t>(form)];
  return (error * error - block * block) / (errors.weights * errors.weights + block * block);
}

double excess_of(const ActivationChoice& choice) noexcept {
  return std::max(0.0, excess_of(choice.errors, choice.form));
}

// The fastest form with at most this excess; block32 has none.
ActivationForm fastest_within(const FormErrors& errors, double excess) noexcept {
  for (const ActivationForm form : kFastestFirst) {
    if (excess_of(errors, form) <= excess) return form;  // false for NaN
  }
  return ActivationForm::kBlock32;
}

}  // namespace

void choose_forms(std::vector<ActivationChoice>& matrices) {
  double total = 0.0;
  for (ActivationChoice& choice : matrices) {
    choice.form = fastest_within(choice.errors, kLargestExcess);
    total += excess_of(choice);
  }
  while (total > kMeanExcess * static_cast<double>(matrices.size())) {
    const auto better = [](const ActivationChoice& a, const ActivationChoice& b) {
      return excess_of(a) < excess_of(b);
    };
    ActivationChoice& worst = *std::max_element(matrices.begin(), matrices.end(), better);
    if (excess_of(worst) == 0.0) break;
    total -= excess_of(worst);
    worst.form = fastest_within(worst.errors, 0.0);
  }
  for (ActivationChoice& choice : matrices) {
    if (choice.form != ActivationForm::kSlab256) choice.outliers.clear();
  }
}

ActivationForms forms_from(const std::vector<ActivationChoice>& choices) {
  ActivationForms forms;
  for (const ActivationChoice& choice : choices) {
    if (forms.matrices.size() <= choice.index) forms.matrices.resize(choice.index + 1);
    forms.matrices[choice.index] = {choice.form, choice.outliers};
  }
  return forms;
}

}  // namespace belle
