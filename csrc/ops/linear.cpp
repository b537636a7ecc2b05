#include "ops/linear.h"

#include <algorithm>
#include <stdexcept>

namespace belle {
namespace {

void require_columns(const LinearInput& input, const Matrix& weight) {
  if (input.n_cols() != weight.n_cols) {
    throw std::invalid_argument("[linear] expected K=" + std::to_string(weight.n_cols) + ", got " +
                                std::to_string(input.n_cols()) + " (" + weight.name + ")");
  }
}

// Rows [first_row, end_row) of one output.
void add_bias(const OpsContext& context, const LinearOutput& output, size_t n_tokens, size_t first_row,
              size_t end_row) noexcept {
  if (output.bias == nullptr) return;
  for (size_t t = 0; t < n_tokens; ++t) {
    context.kernels.add(output.y + t * output.weight.n_rows + first_row, output.bias + first_row, end_row - first_row);
  }
}

// Calls body(output, first panel, end panel) on shares of all outputs, one piece of work for the threads. A share
// starts at a multiple of panels_per_unit panels.
template <class Body>
void share_out(const OpsContext& context, Span<const LinearOutput> outputs, size_t panels_per_unit, const Body& body) {
  const auto units_of = [&](const LinearOutput& output) {
    return (panel_count(output.weight.n_rows) + panels_per_unit - 1) / panels_per_unit;
  };
  size_t n_units = 0;
  for (const LinearOutput& output : outputs) n_units += units_of(output);
  context.pool.parallel_for(n_units, [&](size_t begin, size_t end) {
    size_t first = 0;  // of the output's units
    for (const LinearOutput& output : outputs) {
      const size_t last = first + units_of(output), from = std::max(begin, first), to = std::min(end, last);
      if (from < to) {
        body(output, (from - first) * panels_per_unit,
             std::min((to - first) * panels_per_unit, panel_count(output.weight.n_rows)));
      }
      first = last;
    }
  });
}

void narrow_linear(const OpsContext& context, LinearInput& input, Span<const LinearOutput> outputs) {
  bool any_quantized = false;
  for (const LinearOutput& output : outputs) any_quantized = any_quantized || output.weight.quantized();
  const ActivationBlock* blocks = any_quantized ? input.blocks() : nullptr;
  const float* x = input.floats();  // not by the threads below: it may be work for them itself
  share_out(context, outputs, 1, [&](const LinearOutput& output, size_t first_panel, size_t end_panel) {
    const Matrix& weight = output.weight;
    const size_t first_row = first_panel * kPanelRows, end_row = std::min(end_panel * kPanelRows, weight.n_rows);
    PanelMatmul share{};
    share.panels = weight.panels + first_panel * panel_bytes(weight.type, weight.n_cols);
    share.n_rows = end_row - first_row;
    share.k = weight.n_cols;
    share.x = x;
    share.blocks = blocks;
    share.n_tokens = input.n_tokens();
    share.y = output.y + first_row;
    share.y_stride = weight.n_rows;
    share.read_ahead = context.read_ahead.for_tokens(share.n_tokens);
    context.kernels.matmul[static_cast<size_t>(weight.type)](share);
    add_bias(context, output, share.n_tokens, first_row, end_row);
  });
}

// Which kernels a product takes.
struct Route {
  ActivationForm form;
  bool wide;
  Span<const uint32_t> outliers;

  bool operator==(const Route& other) const noexcept {
    return form == other.form && wide == other.wide &&
           std::equal(outliers.begin(), outliers.end(), other.outliers.begin(), other.outliers.end());
  }
};

void wide_linear(const OpsContext& context, const Route& route, LinearInput& input, Span<const LinearOutput> outputs) {
  const PackedInput packed = input.packed(route.form, route.outliers);
  ScratchPool& scratch = input.scratch(route.form);
  share_out(context, outputs, kWidePanels, [&](const LinearOutput& output, size_t first_panel, size_t end_panel) {
    const size_t first_row = first_panel * kPanelRows, end_row = std::min(end_panel * kPanelRows, output.weight.n_rows);
    uint8_t* piece = scratch.take();
    wide_share(context, route.form, output.weight, packed, input.n_tokens(), first_panel, end_panel, piece,
               output.y + first_row, output.weight.n_rows);
    scratch.give_back(piece);
    add_bias(context, output, input.n_tokens(), first_row, end_row);
  });
}

Route route_for(const OpsContext& context, const LinearInput& input, const Matrix& weight) {
  constexpr ActivationForm kBlock32 = ActivationForm::kBlock32;
  if (!weight.quantized()) return {kBlock32, false, {}};
  const ActivationForm form = context.forms.form_of(weight.index);
  if (context.phase == Phase::kPrefill && form != kBlock32 && has_wide(context.kernels, form, weight.type)) {
    return {form, true, context.forms.outliers_of(weight.index)};
  }
  return {kBlock32, input.n_tokens() > kNarrowTokens && has_wide(context.kernels, kBlock32, weight.type), {}};
}

}  // namespace

void wide_share(const OpsContext& context, ActivationForm form, const Matrix& weight, const PackedInput& input,
                size_t n_tokens, size_t begin, size_t end, uint8_t* scratch, float* y, size_t y_stride) noexcept {
  const WideKernels& kernels = *context.kernels.wide[static_cast<size_t>(form)];
  WideMatmul share{};
  share.panels = weight.panels + begin * panel_bytes(weight.type, weight.n_cols);
  share.n_rows = std::min(end * kPanelRows, weight.n_rows) - begin * kPanelRows;
  share.k = weight.n_cols;
  share.packed = input.packed;
  share.outliers = input.outliers;
  share.n_tokens = n_tokens;
  share.y = y;
  share.y_stride = y_stride;
  share.scratch = scratch;
  kernels.matmul[static_cast<size_t>(weight.type)](share);
}

void linear(const OpsContext& context, LinearInput& input, Span<const LinearOutput> outputs) {
  const OperationTimer timer(context.profile, outputs[0].weight.operation);
  for (const LinearOutput& output : outputs) require_columns(input, output.weight);
  for (size_t first = 0; first < outputs.size();) {  // neighbours of one route go together
    const Route route = route_for(context, input, outputs[first].weight);
    size_t end = first + 1;
    while (end < outputs.size() && route_for(context, input, outputs[end].weight) == route) ++end;
    const Span<const LinearOutput> group(outputs.data() + first, end - first);
    if (route.wide) wide_linear(context, route, input, group);
    else narrow_linear(context, input, group);
    first = end;
  }
}

void embed(const OpsContext& context, const Matrix& table, Span<const int32_t> ids, float* out) {
  const OperationTimer timer(context.profile, Operation::kEmbedding);
  for (const int32_t id : ids) {
    if (id < 0 || static_cast<size_t>(id) >= table.n_rows) {
      throw std::invalid_argument("token id " + std::to_string(id) + " is outside the vocabulary of " +
                                  std::to_string(table.n_rows));
    }
  }
  const size_t bytes_per_panel = panel_bytes(table.type, table.n_cols);
  context.pool.parallel_for(ids.size(), [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const size_t row = static_cast<size_t>(ids[i]);
      unpack_panel_row(table.type, table.panels + row / kPanelRows * bytes_per_panel, row % kPanelRows, table.n_cols,
                       out + i * table.n_cols);
    }
  });
}

}  // namespace belle
