#include "ops/linear.h"

#include <algorithm>
#include <stdexcept>

#include "ops/activation_policy.h"

namespace belle {

namespace {

void require_columns(const LinearInput& input, const Matrix& weight) {
  if (input.n_cols() != weight.n_cols) {
    throw std::invalid_argument("[linear] expected K=" + std::to_string(weight.n_cols) + ", got " +
                                std::to_string(input.n_cols()) + " (" + weight.name + ")");
  }
}

void add_bias(const OpsContext& context, const float* bias, size_t n_rows, size_t n_tokens, float* y, size_t y_stride) {
  if (bias == nullptr) return;
  for (size_t t = 0; t < n_tokens; ++t) context.kernels.add(y + t * y_stride, bias, n_rows);
}

void narrow_linear(const OpsContext& context, LinearInput& input, const Matrix& weight, const float* bias, float* y) {
  PanelMatmul whole{};
  whole.k = weight.n_cols;
  whole.n_tokens = input.n_tokens();
  whole.y_stride = weight.n_rows;
  if (weight.quantized()) whole.q = input.quantized();
  else whole.x = input.floats();

  const PanelMatmulFn matmul = context.kernels.matmul[static_cast<size_t>(weight.type)];
  const size_t bytes_per_panel = panel_bytes(weight.type, weight.n_cols);
  context.pool.parallel_for(panel_count(weight.n_rows), [&](size_t begin, size_t end) {
    const size_t first_row = begin * kPanelRows;
    PanelMatmul share = whole;
    share.panels = weight.panels + begin * bytes_per_panel;
    share.n_rows = std::min(end * kPanelRows, weight.n_rows) - first_row;
    share.y = y + first_row;
    matmul(share);
    add_bias(context, bias == nullptr ? nullptr : bias + first_row, share.n_rows, share.n_tokens, share.y,
             share.y_stride);
  });
}

void wide_linear(const OpsContext& context, ActivationForm form, LinearInput& input, const Matrix& weight,
                 const float* bias, float* y) {
  const uint8_t* packed = input.packed(form);
  ScratchPool& scratch = input.scratch(form);
  const size_t n_panels = panel_count(weight.n_rows), n_tokens = input.n_tokens();
  context.pool.parallel_for((n_panels + kWidePanels - 1) / kWidePanels, [&](size_t begin, size_t end) {
    const size_t first_panel = begin * kWidePanels, end_panel = std::min(end * kWidePanels, n_panels);
    const size_t first_row = first_panel * kPanelRows;
    uint8_t* piece = scratch.take();
    wide_share(context, form, weight, packed, n_tokens, first_panel, end_panel, piece, y + first_row, weight.n_rows);
    scratch.give_back(piece);
    add_bias(context, bias == nullptr ? nullptr : bias + first_row,
             std::min(end_panel * kPanelRows, weight.n_rows) - first_row, n_tokens, y + first_row, weight.n_rows);
  });
}

}  // namespace

void wide_share(const OpsContext& context, ActivationForm form, const Matrix& weight, const uint8_t* packed,
                size_t n_tokens, size_t begin, size_t end, uint8_t* scratch, float* y, size_t y_stride) noexcept {
  const WideKernels& kernels = *context.kernels.wide[static_cast<size_t>(form)];
  WideMatmul share{};
  share.panels = weight.panels + begin * panel_bytes(weight.type, weight.n_cols);
  share.n_rows = std::min(end * kPanelRows, weight.n_rows) - begin * kPanelRows;
  share.k = weight.n_cols;
  share.packed = packed;
  share.n_tokens = n_tokens;
  share.y = y;
  share.y_stride = y_stride;
  share.scratch = scratch;
  kernels.matmul[static_cast<size_t>(weight.type)](share);
}

void linear(const OpsContext& context, LinearInput& input, const Matrix& weight, const float* bias, float* y) {
  require_columns(input, weight);
  ActivationForm form = ActivationForm::kBlock32;
  if (context.policy != nullptr && weight.quantized() && input.n_tokens() > kNarrowTokens) {
    if (context.policy->measuring()) context.policy->measure(context, input, weight);
    form = context.policy->form_of(weight);
  }
  if (form == ActivationForm::kBlock32) narrow_linear(context, input, weight, bias, y);
  else wide_linear(context, form, input, weight, bias, y);
}

void embed(const OpsContext& context, const Matrix& table, Span<const int32_t> ids, float* out) {
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

void pack_matrix(ThreadPool& pool, const Matrix& weight, const uint8_t* rows, uint8_t* out) {
  const size_t bytes_per_panel = panel_bytes(weight.type, weight.n_cols);
  const size_t bytes_per_row = row_bytes(traits_of(weight.type), weight.n_cols);
  pool.parallel_for(panel_count(weight.n_rows), [&](size_t begin, size_t end) {
    for (size_t panel = begin; panel < end; ++panel) {
      const size_t first_row = panel * kPanelRows;
      pack_panel(weight.type, rows + first_row * bytes_per_row, std::min(kPanelRows, weight.n_rows - first_row),
                 weight.n_cols, out + panel * bytes_per_panel);
    }
  });
}

}  // namespace belle
