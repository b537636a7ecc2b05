// Which form the activations of each weight matrix take in prefill, as linear() is told. tuning/activation_policy.h
// decides it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/span.h"
#include "kernels/table.h"

namespace belle {

/// "block32", "slab256", "bf16"
const char* name_of(ActivationForm form) noexcept;
/// The forms that a tier can compute, block32 first.
std::vector<ActivationForm> forms_of(const KernelTable& kernels);
/// Whether a tier has wide kernels of a form for weights of a type.
bool has_wide(const KernelTable& kernels, ActivationForm form, WeightType type) noexcept;
/// Throws std::invalid_argument that lists the choices when the name is unknown, or not among the tier's.
ActivationForm form_named(const std::string& name, const KernelTable& kernels);

/// How one matrix takes its input.
struct MatrixForm {
  ActivationForm form = ActivationForm::kBlock32;
  std::vector<uint32_t> outliers = {};  // the columns that are kept out of its slabs; kSlab256 only
};

/// How all matrices of a model do, by Matrix::index.
struct ActivationForms {
  ActivationForm others = ActivationForm::kBlock32;  // of the matrices that are not listed
  std::vector<MatrixForm> matrices = {};

  ActivationForm form_of(size_t index) const noexcept {
    return index < matrices.size() ? matrices[index].form : others;
  }
  Span<const uint32_t> outliers_of(size_t index) const noexcept {
    if (index >= matrices.size()) return {};
    return {matrices[index].outliers.data(), matrices[index].outliers.size()};
  }
  /// Whether any matrix takes another form than block32.
  bool any_wide() const noexcept;
};

}  // namespace belle
