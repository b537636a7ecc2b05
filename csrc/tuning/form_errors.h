// How far the outputs of a linear layer are from exact ones, for each form of its activations.
#pragma once

#include "ops/linear.h"

namespace belle {

/// Relative RMS errors of a layer's outputs.
struct FormErrors {
  double forms[kActivationFormCount];  // by ActivationForm; NaN where the tier lacks one
  double weights;                      // what the weights' own rounding has cost already
};

/// forms: sqrt(mean over tokens of |y - exact|^2 / |exact|^2), y from real activations and weights through the kernels,
/// exact from float32 products of the dequantized weights, on rows spread over the matrix. Every token weighs the same,
/// however large its activations. kSlab256 keeps the columns `outliers` out of its slabs.
/// weights: the same with the expected error of weights that were rounded to their steps, whose variance is step^2 /
/// 12, in place of |y - exact|^2. The weight must be quantized.
FormErrors measure_forms(const OpsContext& context, LinearInput& input, const Matrix& weight,
                         Span<const uint32_t> outliers);

}  // namespace belle
