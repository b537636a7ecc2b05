// Every weight type that has kernels. A tier's table is filled from these lists.
#pragma once

#include <stddef.h>

#include "kernels/formats/float_elements.h"
#include "kernels/formats/iq4_nl.h"
#include "kernels/formats/iq4_xs.h"
#include "kernels/formats/q2_k.h"
#include "kernels/formats/q3_k.h"
#include "kernels/formats/q4_0.h"
#include "kernels/formats/q4_1.h"
#include "kernels/formats/q4_k.h"
#include "kernels/formats/q5_0.h"
#include "kernels/formats/q5_1.h"
#include "kernels/formats/q5_k.h"
#include "kernels/formats/q6_k.h"
#include "kernels/formats/q8_0.h"

namespace belle {
namespace {

template <class... Types>
struct FormatList {};

using FloatElements = FormatList<F32, F16, Bf16>;
using QuantizedFormats = FormatList<Q4_0, Q4_1, Q8_0, Q5_0, Q5_1, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL, IQ4_XS>;
/// Those that a tier writes by itself; quant/quantize.h writes the others.
using QuantizingFormats = FormatList<Q4_0, Q4_1, Q8_0>;
/// Those whose kernels for few tokens are compiled for every size of tile.
using TiledFormats = FormatList<Q4_0, Q4_1, Q8_0>;

/// Calls function(Format{}) for each type of a list.
template <class... Types, class Function>
constexpr void for_each_format(FormatList<Types...>, Function function) noexcept {
  (function(Types{}), ...);
}

template <class Format, class... Types>
constexpr bool contains(FormatList<Types...>) noexcept {
  return ((Format::kType == Types::kType) || ...);
}

/// A type's place in arrays that are indexed by WeightType.
template <class Format>
constexpr size_t kIndexOf = static_cast<size_t>(Format::kType);

}  // namespace
}  // namespace belle
