// Every weight type that has kernels. A tier's table is filled from these lists.
#pragma once

#include <stddef.h>

#include "kernels/formats/float_elements.h"
#include "kernels/formats/q4_0.h"
#include "kernels/formats/q4_1.h"
#include "kernels/formats/q8_0.h"

namespace belle {
namespace {

template <class... Types>
struct FormatList {};

using FloatElements = FormatList<F32, F16, Bf16>;
using QuantizedFormats = FormatList<Q4_0, Q4_1, Q8_0>;
/// Those whose blocks a tier computes itself (Format::quantize).
using RoundedFormats = FormatList<Q4_0, Q4_1, Q8_0>;

/// Calls function(Format{}) for each type of a list.
template <class... Types, class Function>
constexpr void for_each_format(FormatList<Types...>, Function function) noexcept {
  (function(Types{}), ...);
}

/// A type's place in arrays that are indexed by WeightType.
template <class Format>
constexpr size_t kIndexOf = static_cast<size_t>(Format::kType);

}  // namespace
}  // namespace belle
