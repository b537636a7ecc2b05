// Which form the activations of each weight matrix take in prefill: the fastest one whose measured error is small
// enough. What "enough" means is explained at choose_forms().
#pragma once

#include <string>
#include <vector>

#include "ops/activation_forms.h"
#include "tuning/form_errors.h"

namespace belle {

/// One weight matrix: its form, and the errors behind that choice.
struct ActivationChoice {
  size_t index;  // Matrix::index
  std::string tensor;
  WeightType type;
  size_t n_weights;
  std::vector<uint32_t> outliers;  // columns of the input that its slabs lack; none where it takes no slabs
  FormErrors errors;
  double influence = 1.0;  // mean over tokens of |b|^2 / |h|^2: what its branch has added, and the hidden state then
  ActivationForm form = ActivationForm::kBlock32;
};

constexpr double kLargestExcess = 0.06;
constexpr double kMeanExcess = 0.02;
constexpr double kAddedError = 0.05;
constexpr double kSpareTime = 0.06;

/// Fills in the forms of measured matrices. With e the error of a form, b the yardstick's and w what the rounding of
/// the weights has cost, a form's excess is (e^2 - b^2) / (w^2 + b^2), where w^2 is at least its mean over the
/// matrices. A quantized model's divergence from its original grows with the sum of such squares, so the mean excess
/// bounds by how much the divergence rises over the yardstick's. Each matrix takes the fastest form of excess <=
/// kLargestExcess; then, from the worst one on, matrices go back to forms without excess until the mean is at most
/// kMeanExcess.
///
/// Then the arithmetic by itself, beside the yardstick, which is what other engines have. An error moves the hidden
/// state by its branch's share of it, so all sums are of influence * e^2. While the forms add more than kAddedError of
/// what the yardstick has, the matrix that gains most for its time takes a slower form, as long as all of that costs at
/// most kSpareTime of the products of a prompt.
void choose_forms(std::vector<ActivationChoice>& matrices);

/// What linear() is told. Matrices that are not among the choices keep block32.
ActivationForms forms_from(const std::vector<ActivationChoice>& choices);

}  // namespace belle
