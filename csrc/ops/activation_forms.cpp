#include "ops/activation_forms.h"

#include <algorithm>
#include <stdexcept>

namespace belle {

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

ActivationForm form_named(const std::string& name, const KernelTable& kernels) {
  std::string choices;
  for (const ActivationForm form : forms_of(kernels)) {
    if (name == name_of(form)) return form;
    choices += std::string(choices.empty() ? "" : ", ") + name_of(form);
  }
  throw std::invalid_argument("activations='" + name + "' is unknown to the tier " + kernels.name +
                              "; choices: auto, " + choices);
}

bool ActivationForms::any_wide() const noexcept {
  const auto wide = [](const MatrixForm& matrix) { return matrix.form != ActivationForm::kBlock32; };
  return others != ActivationForm::kBlock32 || std::any_of(matrices.begin(), matrices.end(), wide);
}

}  // namespace belle
