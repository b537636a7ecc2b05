// The portable tier: plain loops that any CPU runs. Every other tier is checked against the same formulas.
#include <math.h>
#include <string.h>

#include "core/half.h"
#include "kernels/activation_order.h"
#include "kernels/isa.h"
#include "quant/quantize.h"

namespace belle {
namespace {

constexpr size_t kGroups = 8;                   // groups of 4 neighbouring columns in a block of 32
constexpr size_t kGroupCodes = kPanelRows * 4;  // codes of a group, all rows

// A product of floats is exact in double, so this rounds like a fused multiply-add (but for rare double
// roundings) and needs no FMA unit.
inline float multiply_add(float a, float b, float c) noexcept {
  return static_cast<float>(static_cast<double>(a) * b + c);
}

// half_to_float's values without its branches, so that loops over it become vectors: the bits at float's place are
// the value times 2^-112 (subnormals included), and what reaches 2^16 was infinity or NaN.
inline float half_value(uint16_t half) noexcept {
  const float magnitude = bits_to_float((half & 0x7fffu) << 13) * 5.192296858534828e33f;  // 2^112
  const uint32_t sign = (half & 0x8000u) << 16;
  const uint32_t special = magnitude >= 65536.0f ? 0x7f800000u : 0u;
  return bits_to_float(float_to_bits(magnitude) | special | sign);
}

inline float load_half(const uint8_t* from, size_t index) noexcept {
  uint16_t bits;
  memcpy(&bits, from + index * sizeof bits, sizeof bits);
  return half_value(bits);
}

inline size_t smaller(size_t a, size_t b) noexcept { return a < b ? a : b; }

// ---- Matrix products ----------------------------------------------------------------------------------------

struct F32Element {
  static constexpr size_t kBytes = 4;
  static float load(const uint8_t* column, size_t row) noexcept {
    float value;
    memcpy(&value, column + row * kBytes, kBytes);
    return value;
  }
};

struct F16Element {
  static constexpr size_t kBytes = 2;
  static float load(const uint8_t* column, size_t row) noexcept { return load_half(column, row); }
};

struct Bf16Element {
  static constexpr size_t kBytes = 2;
  static float load(const uint8_t* column, size_t row) noexcept {
    uint16_t bits;
    memcpy(&bits, column + row * kBytes, kBytes);
    return bf16_to_float(bits);
  }
};

template <class Element>
void float_panel_row(const uint8_t* panel, const float* x, size_t k, float* acc) noexcept {
  for (size_t col = 0; col < k; ++col) {
    const uint8_t* column = panel + col * kPanelRows * Element::kBytes;
    for (size_t r = 0; r < kPanelRows; ++r) acc[r] = multiply_add(x[col], Element::load(column, r), acc[r]);
  }
}

template <class Element>
void float_matmul(const PanelMatmul& args) noexcept {
  const size_t panel_stride = args.k * kPanelRows * Element::kBytes;
  for (size_t row = 0; row < args.n_rows; row += kPanelRows) {
    const uint8_t* panel = args.panels + row / kPanelRows * panel_stride;
    for (size_t t = 0; t < args.n_tokens; ++t) {
      float acc[kPanelRows] = {};
      float_panel_row<Element>(panel, args.x + t * args.k, args.k, acc);
      memcpy(args.y + t * args.y_stride + row, acc, smaller(kPanelRows, args.n_rows - row) * sizeof(float));
    }
  }
}

// The quantized formats differ in how a code is stored, in the code of zero, and in having a minimum.
struct Q4_0Format {
  static constexpr size_t kCodeBytes = 256, kUnitBytes = 288;
  static constexpr int kZeroCode = 8;
  static constexpr bool kHasMinimum = false;
  // codes: [16 rows][4 columns] of one group
  static void expand(const uint8_t* unit, size_t group, int16_t* codes) noexcept {
    const uint8_t* bytes = unit + group % 4 * kGroupCodes;
    const int shift = group < 4 ? 0 : 4;
    for (size_t i = 0; i < kGroupCodes; ++i) codes[i] = static_cast<int16_t>((bytes[i] >> shift) & 0x0f);
  }
};

struct Q4_1Format : Q4_0Format {
  static constexpr size_t kUnitBytes = 320;
  static constexpr int kZeroCode = 0;
  static constexpr bool kHasMinimum = true;
};

struct Q8_0Format {
  static constexpr size_t kCodeBytes = 512, kUnitBytes = 544;
  static constexpr int kZeroCode = 0;
  static constexpr bool kHasMinimum = false;
  static void expand(const uint8_t* unit, size_t group, int16_t* codes) noexcept {
    const uint8_t* bytes = unit + group * kGroupCodes;
    for (size_t i = 0; i < kGroupCodes; ++i) codes[i] = static_cast<int8_t>(bytes[i]);
  }
};

// dots[16] += exact integer dots; flat loops over [16 rows][4 columns], which compilers turn into vectors
template <class Format>
void integer_dots(const uint8_t* unit, const int8_t* values, int32_t* dots) noexcept {
  int32_t sums[kGroupCodes] = {};
  for (size_t g = 0; g < kGroups; ++g) {
    int16_t codes[kGroupCodes], columns[kGroupCodes];
    Format::expand(unit, g, codes);
    const int16_t four[4] = {values[4 * g], values[4 * g + 1], values[4 * g + 2], values[4 * g + 3]};
    for (size_t r = 0; r < kPanelRows; ++r) memcpy(columns + 4 * r, four, sizeof four);
    for (size_t i = 0; i < kGroupCodes; ++i) sums[i] += codes[i] * columns[i];
  }
  for (size_t r = 0; r < kPanelRows; ++r) {
    dots[r] += (sums[4 * r] + sums[4 * r + 1]) + (sums[4 * r + 2] + sums[4 * r + 3]);
  }
}

// acc[16] += the block's integer dots, scaled
template <class Format>
void add_block(const uint8_t* unit, const ActivationBlock& activations, float* acc) noexcept {
  const float scale = activations.scale;
  const int32_t start = -Format::kZeroCode * activations.sum;
  int32_t dots[kPanelRows];
  for (size_t r = 0; r < kPanelRows; ++r) dots[r] = start;
  integer_dots<Format>(unit, activations.values, dots);
  const uint8_t* d = unit + Format::kCodeBytes;
  for (size_t r = 0; r < kPanelRows; ++r) {
    acc[r] = multiply_add(static_cast<float>(dots[r]), load_half(d, r) * scale, acc[r]);
    if (Format::kHasMinimum) {
      acc[r] = multiply_add(load_half(d + kPanelRows * 2, r), scale * static_cast<float>(activations.sum), acc[r]);
    }
  }
}

template <class Format>
void quantized_matmul(const PanelMatmul& args) noexcept {
  const size_t n_blocks = args.k / kBlockSize;
  for (size_t row = 0; row < args.n_rows; row += kPanelRows) {
    const uint8_t* panel = args.panels + row / kPanelRows * n_blocks * Format::kUnitBytes;
    for (size_t t = 0; t < args.n_tokens; ++t) {
      const ActivationRow x = activation_row(args.n_tokens, n_blocks, t);
      float acc[kPanelRows] = {};
      for (size_t block = 0; block < n_blocks; ++block) {
        add_block<Format>(panel + block * Format::kUnitBytes, args.blocks[x.first + block * x.stride], acc);
      }
      memcpy(args.y + t * args.y_stride + row, acc, smaller(kPanelRows, args.n_rows - row) * sizeof(float));
    }
  }
}

// ---- Activations ----------------------------------------------------------------------------------------------

constexpr uint32_t kInfinityBits = 0x7f800000u;
constexpr float kTinyAbsmax = 1e-30f;  // below it 127 / absmax nears overflow: such a block counts as zero

// Adding 1.5 * 2^23 leaves the nearest integer (ties to even) in the low bits, as the vector units round.
inline int32_t round_to_even(float x) noexcept {
  return static_cast<int32_t>(float_to_bits(x + 12582912.0f)) - 0x4b400000;
}

// A block with a value that is not finite gets the scale NaN, so that it shows in every product.
void quantize_block(const float* x, ActivationBlock& block) noexcept {
  uint32_t largest = 0;  // bits of non-negative floats order like the floats, NaN last
  for (size_t i = 0; i < kBlockSize; ++i) {
    const uint32_t magnitude = float_to_bits(x[i]) & 0x7fffffffu;
    if (magnitude > largest) largest = magnitude;
  }
  const float absmax = bits_to_float(largest);
  block.sum = 0;
  if (largest >= kInfinityBits || absmax < kTinyAbsmax) {
    block.scale = largest >= kInfinityBits ? NAN : 0.0f;
    memset(block.values, 0, kBlockSize);
    return;
  }
  block.scale = absmax / 127.0f;
  const float inverse = 127.0f / absmax;
  for (size_t i = 0; i < kBlockSize; ++i) {
    const int32_t value = round_to_even(x[i] * inverse);  // at most 127: two roundings cannot reach 127.5
    block.values[i] = static_cast<int8_t>(value);
    block.sum += value;
  }
}

void quantize_activations(const float* x, size_t n_blocks, ActivationBlock* blocks, size_t stride) noexcept {
  for (size_t b = 0; b < n_blocks; ++b) quantize_block(x + b * kBlockSize, blocks[b * stride]);
}

// ---- Attention --------------------------------------------------------------------------------------------------

inline float to_float(float value) noexcept { return value; }
inline float to_float(uint16_t half) noexcept { return half_value(half); }

constexpr float kSmallestExponent = -87.0f;  // e^-87 is near the smallest normal float; below, all tiers give 0

float exp_and_sum(float* x, size_t n, float shift) noexcept {
  double sum = 0.0;
  for (size_t i = 0; i < n; ++i) {
    const float exponent = x[i] - shift;
    x[i] = exponent < kSmallestExponent ? 0.0f : expf(exponent);
    sum += x[i];
  }
  return static_cast<float>(sum);
}

template <class Element>
void attend_query(const AttentionPage& page, size_t query) noexcept {
  const Element* keys = static_cast<const Element*>(page.keys);
  const Element* values = static_cast<const Element*>(page.values);
  const size_t n_positions = page.n_positions + query * page.more;
  float* out = page.out + query * page.out_stride;
  float scores[kPageTokens] = {};
  for (size_t d = 0; d < page.head_dim; ++d, keys += kPageTokens) {
    const float q = page.q[query * page.q_stride + d];
    for (size_t i = 0; i < n_positions; ++i) scores[i] = multiply_add(q, to_float(keys[i]), scores[i]);
  }
  float highest = page.running_max[query];
  for (size_t i = 0; i < n_positions; ++i) {
    const float distance = page.first_distance - static_cast<float>(query) + static_cast<float>(i);
    scores[i] = scores[i] * page.scale + page.slope * distance;
    if (scores[i] > highest) highest = scores[i];
  }
  if (highest > page.running_max[query]) {
    const float correction = expf(page.running_max[query] - highest);  // exp(-inf) = 0 on the first page
    page.denominators[query] *= correction;
    for (size_t d = 0; d < page.head_dim; ++d) out[d] *= correction;
    page.running_max[query] = highest;
  }
  page.denominators[query] += exp_and_sum(scores, n_positions, highest);
  for (size_t i = 0; i < n_positions; ++i) {
    const Element* value = values + i * page.head_dim;
    for (size_t d = 0; d < page.head_dim; ++d) out[d] = multiply_add(scores[i], to_float(value[d]), out[d]);
  }
}

template <class Element>
void attend_page(const AttentionPage& page) noexcept {
  for (size_t query = 0; query < page.n_queries; ++query) attend_query<Element>(page, query);
}

// ---- Rows -------------------------------------------------------------------------------------------------------

void layer_norm(const float* x, const float* weight, const float* bias, float eps, size_t n, float* out) noexcept {
  double sum = 0.0, squares = 0.0;
  for (size_t i = 0; i < n; ++i) sum += x[i];
  const double mean = sum / static_cast<double>(n);
  for (size_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const double scale = 1.0 / sqrt(squares / static_cast<double>(n) + eps);
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<float>((x[i] - mean) * scale * weight[i] + bias[i]);
}

void rms_norm(const float* x, const float* weight, float eps, size_t n, float* out) noexcept {
  double squares = 0.0;
  for (size_t i = 0; i < n; ++i) squares += static_cast<double>(x[i]) * x[i];
  const double scale = 1.0 / sqrt(squares / static_cast<double>(n) + eps);
  for (size_t i = 0; i < n; ++i) out[i] = static_cast<float>(x[i] * scale * weight[i]);
}

// x / 2 * (1 + tanh(u)) = x / (1 + exp(-2u)), which keeps its relative accuracy where tanh nears -1
void gelu(float* x, size_t n) noexcept {
  for (size_t i = 0; i < n; ++i) {
    const float minus_2u = -1.5957691216f * x[i] * (1.0f + 0.044715f * x[i] * x[i]);
    x[i] = x[i] / (1.0f + expf(minus_2u));
  }
}

void silu_multiply(const float* gate, const float* up, size_t n, float* out) noexcept {
  for (size_t i = 0; i < n; ++i) out[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

void add(float* x, const float* y, size_t n) noexcept {
  for (size_t i = 0; i < n; ++i) x[i] += y[i];
}

void rotate_pairs(float* x, const float* cosines, const float* sines, size_t n_pairs) noexcept {
  for (size_t i = 0; i < n_pairs; ++i) {
    const float first = x[2 * i], second = x[2 * i + 1];
    x[2 * i] = multiply_add(first, cosines[i], -(second * sines[i]));
    x[2 * i + 1] = multiply_add(second, cosines[i], first * sines[i]);
  }
}

void to_half(const float* x, size_t n, uint16_t* out) noexcept {
  for (size_t i = 0; i < n; ++i) out[i] = float_to_half(x[i]);
}

bool widen(WeightType type, const uint8_t* data, size_t n, float* out) noexcept {
  dequantize_row(type, data, n, out);
  uint32_t special = 0;  // no early exit, so that the compiler can use vectors
  for (size_t i = 0; i < n; ++i) special |= static_cast<uint32_t>((float_to_bits(out[i]) & 0x7f800000u) == 0x7f800000u);
  return special == 0;
}

template <WeightType type>
void quantize(const float* x, size_t n, uint8_t* out) noexcept {
  quantize_row(type, x, n, out);
}

// Products of 16-bit numbers summed in 32 bits, the form of integer_dots; the columns change, so that no product can be
// taken out of the loop.
uint64_t integer_peak(size_t n_rounds, int32_t* sink) noexcept {
  constexpr uint32_t kProducts = 16;
  const uint32_t seed = static_cast<uint32_t>(*sink);
  int32_t sums[kProducts];
  int16_t codes[kProducts], columns[kProducts];
  for (uint32_t i = 0; i < kProducts; ++i) {
    sums[i] = 0;
    codes[i] = static_cast<int16_t>((seed + i) & 0x0f);
    columns[i] = static_cast<int16_t>((seed - i) & 0x7f);
  }
  for (size_t round = 0; round < n_rounds; ++round) {
    for (size_t i = 0; i < kProducts; ++i) {
      sums[i] = static_cast<int32_t>(static_cast<uint32_t>(sums[i]) + static_cast<uint32_t>(codes[i] * columns[i]));
    }
    for (size_t i = 0; i < kProducts; ++i) columns[i] ^= 1;
  }
  int32_t total = 0;
  for (size_t i = 0; i < kProducts; ++i) total ^= sums[i];
  *sink = total;
  return 2 * static_cast<uint64_t>(n_rounds) * kProducts;
}

constexpr KernelTable kTable = {
    "scalar",
    {float_matmul<F32Element>, float_matmul<F16Element>, float_matmul<Bf16Element>, quantized_matmul<Q4_0Format>,
     quantized_matmul<Q4_1Format>, quantized_matmul<Q8_0Format>},
    false,
    quantize_activations,
    attend_page<float>,
    attend_page<uint16_t>,
    exp_and_sum,
    layer_norm,
    rms_norm,
    gelu,
    silu_multiply,
    add,
    rotate_pairs,
    to_half,
    widen,
    {nullptr, nullptr, nullptr, quantize<WeightType::kQ4_0>, quantize<WeightType::kQ4_1>, quantize<WeightType::kQ8_0>},
    integer_peak,
};

}  // namespace

const KernelTable* scalar_kernels() noexcept { return &kTable; }

}  // namespace belle
