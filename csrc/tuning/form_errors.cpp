#include "tuning/form_errors.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/memory.h"

namespace belle {
namespace {

constexpr size_t kSampleUnits = 2;  // of kUnitPanels panels each: 64 rows of a large matrix
constexpr size_t kUnitPanels = 2;
constexpr size_t kUnitRows = kUnitPanels * kPanelRows;

/// One sample of rows: its exact outputs, and those of each form, [n_tokens, kUnitRows].
struct Sample {
  size_t first_panel, end_panel, n_rows;
  Buffer panels;           // the weights as f32 panels
  std::vector<float> row;  // [k], one dequantized row
  std::vector<float> exact;
  std::vector<double> variances;  // [k], of the weights' own rounding, the rows added up
  std::vector<float> outputs[kActivationFormCount];
};

std::vector<Sample> choose_samples(const Matrix& weight, size_t n_tokens) {
  const size_t n_panels = panel_count(weight.n_rows), n_units = (n_panels + kUnitPanels - 1) / kUnitPanels;
  const size_t n_samples = std::min(kSampleUnits, n_units);
  std::vector<Sample> samples(n_samples);
  for (size_t i = 0; i < n_samples; ++i) {
    Sample& sample = samples[i];
    sample.first_panel = (2 * i + 1) * n_units / (2 * n_samples) * kUnitPanels;
    sample.end_panel = std::min(sample.first_panel + kUnitPanels, n_panels);
    sample.n_rows = std::min(kUnitRows, weight.n_rows - sample.first_panel * kPanelRows);
    sample.panels = Buffer(kUnitRows * weight.n_cols * sizeof(float));
    sample.row.resize(weight.n_cols);
    sample.variances.resize(weight.n_cols);
    sample.exact.resize(n_tokens * kUnitRows);
    for (std::vector<float>& outputs : sample.outputs) outputs.resize(n_tokens * kUnitRows);
  }
  return samples;
}

// The sample's rows as f32 panels; the last panel may hold fewer real rows, its other ones unpack to zeros.
void dequantize(const Matrix& weight, Sample& sample) noexcept {
  const size_t k = weight.n_cols, bytes_per_panel = panel_bytes(weight.type, k);
  for (size_t panel = sample.first_panel; panel < sample.end_panel; ++panel) {
    float* out = reinterpret_cast<float*>(sample.panels.data()) + (panel - sample.first_panel) * kPanelRows * k;
    for (size_t r = 0; r < kPanelRows; ++r) {
      const uint8_t* source = weight.panels + panel * bytes_per_panel;
      add_rounding_variances(weight.type, source, r, k, sample.variances.data());
      unpack_panel_row(weight.type, source, r, k, sample.row.data());
      for (size_t col = 0; col < k; ++col) out[col * kPanelRows + r] = sample.row[col];
    }
  }
}

PanelMatmul narrow_arguments(const Sample& sample, const Matrix& weight, size_t n_tokens, float* y) {
  PanelMatmul args{};
  args.n_rows = sample.n_rows;
  args.k = weight.n_cols;
  args.n_tokens = n_tokens;
  args.y = y;
  args.y_stride = kUnitRows;
  return args;
}

void multiply_exactly(const OpsContext& context, LinearInput& input, const Matrix& weight, Sample& sample) {
  PanelMatmul args = narrow_arguments(sample, weight, input.n_tokens(), sample.exact.data());
  args.panels = sample.panels.data();
  args.x = input.floats();
  context.kernels.matmul[static_cast<size_t>(WeightType::kF32)](args);
}

void multiply_in_blocks(const OpsContext& context, const ActivationBlock* blocks, LinearInput& input,
                        const Matrix& weight, Sample& sample) {
  PanelMatmul args = narrow_arguments(sample, weight, input.n_tokens(), sample.outputs[0].data());
  args.panels = weight.panels + sample.first_panel * panel_bytes(weight.type, weight.n_cols);
  args.blocks = blocks;
  context.kernels.matmul[static_cast<size_t>(weight.type)](args);
}

// |exact|^2 of one token over all samples
double size_of(const std::vector<Sample>& samples, size_t token) {
  double squares = 0.0;
  for (const Sample& sample : samples) {
    for (size_t row = 0; row < sample.n_rows; ++row) {
      const double exact = sample.exact[token * kUnitRows + row];
      squares += exact * exact;
    }
  }
  return squares;
}

double form_error(const std::vector<Sample>& samples, size_t form, size_t token) {
  double squares = 0.0;
  for (const Sample& sample : samples) {
    for (size_t i = token * kUnitRows; i < token * kUnitRows + sample.n_rows; ++i) {
      const double error = static_cast<double>(sample.outputs[form][i]) - sample.exact[i];
      squares += error * error;
    }
  }
  return squares;
}

double weight_error(const std::vector<Sample>& samples, LinearInput& input, size_t token) {
  const float* x = input.floats() + token * input.n_cols();
  double squares = 0.0;
  for (const Sample& sample : samples) {
    for (size_t col = 0; col < input.n_cols(); ++col) {
      squares += static_cast<double>(x[col]) * x[col] * sample.variances[col];
    }
  }
  return squares;
}

// sqrt of the mean of error(token) / size over the tokens that have a size
template <class Error>
double relative(const std::vector<double>& sizes, Error error) {
  double total = 0.0;
  size_t n_counted = 0;
  for (size_t token = 0; token < sizes.size(); ++token) {
    if (sizes[token] == 0.0) continue;
    total += error(token) / sizes[token];
    ++n_counted;
  }
  return n_counted > 0 ? std::sqrt(total / static_cast<double>(n_counted)) : 0.0;
}

}  // namespace

FormErrors measure_forms(const OpsContext& context, LinearInput& input, const Matrix& weight,
                         Span<const uint32_t> outliers) {
  static_assert(static_cast<size_t>(ActivationForm::kBlock32) == 0, "outputs[0] is block32's");
  const size_t n_tokens = input.n_tokens();
  std::vector<Sample> samples = choose_samples(weight, n_tokens);
  const ActivationBlock* blocks = input.blocks();
  context.pool.parallel_for(samples.size(), [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      dequantize(weight, samples[i]);
      multiply_exactly(context, input, weight, samples[i]);
      multiply_in_blocks(context, blocks, input, weight, samples[i]);
    }
  });

  std::vector<double> sizes;
  for (size_t token = 0; token < n_tokens; ++token) sizes.push_back(size_of(samples, token));

  FormErrors result;
  std::fill_n(result.forms, kActivationFormCount, std::numeric_limits<double>::quiet_NaN());
  result.weights = relative(sizes, [&](size_t token) { return weight_error(samples, input, token); });
  result.forms[0] = relative(sizes, [&](size_t token) { return form_error(samples, 0, token); });
  for (const ActivationForm form : forms_of(context.kernels)) {
    if (form == ActivationForm::kBlock32 || !has_wide(context.kernels, form, weight.type)) continue;
    const PackedInput packed = form == ActivationForm::kSlab256 ? input.packed(form, outliers) : input.packed(form);
    ScratchPool& scratch = input.scratch(form);
    const size_t index = static_cast<size_t>(form);
    context.pool.parallel_for(samples.size(), [&](size_t begin, size_t end) {
      uint8_t* piece = scratch.take();
      for (size_t i = begin; i < end; ++i) {
        Sample& sample = samples[i];
        wide_share(context, form, weight, packed, n_tokens, sample.first_panel, sample.end_panel, piece,
                   sample.outputs[index].data(), kUnitRows);
      }
      scratch.give_back(piece);
    });
    result.forms[index] = relative(sizes, [&](size_t token) { return form_error(samples, index, token); });
  }
  return result;
}

}  // namespace belle
