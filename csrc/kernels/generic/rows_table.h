// What a vector tier's table has besides matrix products: rows, attention over single pages, quantizing.
#pragma once

#include <stdint.h>

#include "kernels/formats/formats.h"
#include "kernels/generic/attention.h"
#include "kernels/generic/byte_attention.h"
#include "kernels/generic/quantize_activations.h"
#include "kernels/generic/quantize_blocks.h"
#include "kernels/generic/rows.h"
#include "kernels/table.h"

namespace belle {
namespace {

template <class Tier>
constexpr void set_rows(KernelTable& table) noexcept {
  table.quantize_activations = quantize_activations<Tier>;
  table.quantize_row = quantize_row<Tier>;
  table.attend_page_f32 = attend_page<Tier, float>;
  table.attend_page_f16 = attend_page<Tier, uint16_t>;
  table.attend_page_q8 = attend_byte_page<Tier>;
  table.exp_and_sum = exp_and_sum<Tier>;
  table.layer_norm = layer_norm<Tier>;
  table.rms_norm = rms_norm<Tier>;
  table.gelu = gelu<Tier>;
  table.silu_multiply = silu_multiply<Tier>;
  table.add = add_rows<Tier>;
  table.rotate_pairs = rotate_pairs<Tier>;
  table.to_half = to_half<Tier>;
  table.widen = Tier::widen;
  table.search = Tier::search;
  for_each_format(QuantizingFormats{}, [&](auto format) noexcept {
    using Format = decltype(format);
    table.quantize[kIndexOf<Format>] = quantize_blocks<Tier, Format>;
  });
}

}  // namespace
}  // namespace belle
