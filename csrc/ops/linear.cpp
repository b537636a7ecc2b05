#include "ops/linear.h"

#include <algorithm>
#include <stdexcept>

namespace belle {

QuantizedRows LinearInput::quantized() {
  const size_t n_values = n_tokens_ * n_cols_;
  const size_t n_blocks = n_values / kBlockSize;
  if (!done_) {
    const OperationTimer timer(context_.profile, Operation::kQuantize);
    if (storage_.values.size() < n_values) {
      storage_.values.resize(n_values);
      storage_.scales.resize(n_blocks);
      storage_.sums.resize(n_blocks);
    }
    context_.pool.parallel_for(n_blocks, [&](size_t begin, size_t end) {
      context_.kernels.quantize_activations(x_ + begin * kBlockSize, end - begin,
                                            storage_.values.data() + begin * kBlockSize, storage_.scales.data() + begin,
                                            storage_.sums.data() + begin);
    });
    done_ = true;
  }
  return {storage_.values.data(), storage_.scales.data(), storage_.sums.data()};
}

void linear(const OpsContext& context, LinearInput& input, const Matrix& weight, const float* bias, float* y) {
  const OperationTimer timer(context.profile, weight.operation);
  if (input.n_cols() != weight.n_cols) {
    throw std::invalid_argument("[linear] expected K=" + std::to_string(weight.n_cols) + ", got " +
                                std::to_string(input.n_cols()) + " (" + weight.name + ")");
  }
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
    if (bias == nullptr) return;
    for (size_t t = 0; t < share.n_tokens; ++t) {
      context.kernels.add(share.y + t * share.y_stride, bias + first_row, share.n_rows);
    }
  });
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
