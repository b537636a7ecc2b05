// Which form the activations of each weight matrix take in prefill: the fastest one whose measured error is small
// enough. What "enough" means is explained at choose().
#pragma once

#include <string>
#include <vector>

#include "ops/form_errors.h"
#include "ops/linear.h"

namespace belle {

/// "block32", "slab256", "bf16"
const char* name_of(ActivationForm form) noexcept;
/// The forms that a tier can compute, block32 first.
std::vector<ActivationForm> forms_of(const KernelTable& kernels);
/// Whether a tier has wide kernels of a form for weights of a type.
bool has_wide(const KernelTable& kernels, ActivationForm form, WeightType type) noexcept;
/// Whether a tier has more than one form for any of the matrices.
bool any_choice(const KernelTable& kernels, const std::vector<Matrix>& matrices);
/// Throws std::invalid_argument that lists the choices when the name is unknown, or not among the tier's.
ActivationForm form_named(const std::string& name, const KernelTable& kernels);

/// One weight matrix: its form, and the errors behind that choice.
struct ActivationChoice {
  std::string tensor;
  WeightType type = WeightType::kF32;
  ActivationForm form = ActivationForm::kBlock32;
  bool measured = false;
  FormErrors errors = {};
  std::vector<uint32_t> outliers = {};  // columns, kSlab256 only
};

/// What the rows of a pass are: a prompt's, which take the form that the policy chose, however few they are; or an
/// answer's, whose tokens came one by one and which always take block32.
enum class Phase : uint8_t { kPrefill, kDecode };

class ActivationPolicy {
 public:
  static constexpr double kLargestExcess = 0.06;
  static constexpr double kMeanExcess = 0.02;

  /// Every matrix takes `form`.
  explicit ActivationPolicy(ActivationForm form = ActivationForm::kBlock32) noexcept : default_form_(form) {}

  ActivationForm form_of(const Matrix& weight) const noexcept {
    return weight.policy_index < choices_.size() ? choices_[weight.policy_index].form : default_form_;
  }

  /// The columns that are kept out of a matrix's slabs; none where its form is another.
  Span<const uint32_t> outliers_of(const Matrix& weight) const noexcept {
    if (weight.policy_index >= choices_.size()) return {};
    const ActivationChoice& choice = choices_[weight.policy_index];
    if (choice.form != ActivationForm::kSlab256) return {};
    return {choice.outliers.data(), choice.outliers.size()};
  }

  /// Whether any matrix takes another form than block32.
  bool any_wide() const noexcept;
  /// For the passes that follow.
  void set_phase(Phase phase) noexcept { phase_ = phase; }
  /// Whether an input meets the forms of form_of(), not block32.
  bool prefills() const noexcept { return phase_ == Phase::kPrefill; }

  /// Between begin_measuring() and choose(), every linear() calls measure().
  void begin_measuring() noexcept { measuring_ = true; }
  bool measuring() const noexcept { return measuring_; }
  void measure(const OpsContext& context, LinearInput& input, const Matrix& weight);
  /// Ends the measurement and chooses. With e the error of a form, b that of block32 and w what the rounding of the
  /// weights has cost, a form's excess is (e^2 - b^2) / (w^2 + b^2). A quantized model's divergence from its original
  /// grows with the sum of such squares, so the mean excess bounds by how much the divergence rises over block32's.
  /// Each measured matrix takes the fastest form of excess <= kLargestExcess; then, from the worst one on, matrices
  /// go back to forms without excess until the mean is at most kMeanExcess. Matrices not measured keep block32.
  void choose();

  /// The measured matrices, in the order of the file's layers.
  std::vector<ActivationChoice> measured() const;

 private:
  ActivationForm default_form_;
  Phase phase_ = Phase::kPrefill;
  bool measuring_ = false;
  std::vector<ActivationChoice> choices_;  // by Matrix::policy_index
};

}  // namespace belle
