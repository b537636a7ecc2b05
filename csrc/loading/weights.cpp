#include "loading/weights.h"

#include <algorithm>
#include <utility>

#include "core/error.h"
#include "gguf/ggml_types.h"
#include "loading/data_section.h"
#include "ops/weight_types.h"
#include "quant/finite.h"
#include "quant/quantize.h"
#include "quant/type_names.h"

namespace belle {
namespace {

constexpr size_t kTensorAlignment = 64;  // a cache line, and a whole AVX-512 load

std::string shape_text(const std::vector<uint64_t>& dimensions) {
  std::string text = "[";
  for (size_t i = dimensions.size(); i-- > 0;) {  // NumPy order
    text += std::to_string(dimensions[i]);
    if (i > 0) text += ", ";
  }
  return text + "]";
}

// What the products with a tensor count as in a profile. The token embedding is the head too where a file ties them.
Operation operation_of(const std::string& name) {
  constexpr std::pair<const char*, Operation> kOperations[] = {
      {".attn_q.", Operation::kAttentionQkv},
      {".attn_k.", Operation::kAttentionQkv},
      {".attn_v.", Operation::kAttentionQkv},
      {".attn_qkv.", Operation::kAttentionQkv},
      {".attn_output.", Operation::kAttentionOutput},
      {".ffn_gate.", Operation::kFeedForwardGateUp},
      {".ffn_up.", Operation::kFeedForwardGateUp},
      {".ffn_down.", Operation::kFeedForwardDown},
      {"output.", Operation::kHead},
      {"token_embd.", Operation::kHead},
  };
  for (const auto& [part, operation] : kOperations) {
    if (name.find(part) != std::string::npos) return operation;
  }
  return Operation::kOther;
}

}  // namespace

size_t WeightLoader::rows_of(const std::string& name) const {
  const GgufTensor* tensor = gguf_.find_tensor(name);
  if (tensor == nullptr || tensor->dimensions.size() != 2) {
    throw ModelFormatError(gguf_.path() + ": expected a matrix '" + name + "', the file has " +
                           (tensor == nullptr ? "none" : "one of shape " + shape_text(tensor->dimensions)) +
                           ": it is incomplete; convert the checkpoint again");
  }
  return static_cast<size_t>(tensor->dimensions[1]);
}

void WeightLoader::matrix(const std::string& name, size_t n_rows, size_t n_cols, Matrix& target) {
  const GgufTensor& tensor = find(name, {n_cols, n_rows});
  target.name = name;
  target.type = type_of(tensor).type;
  target.operation = operation_of(name);
  target.n_rows = n_rows;
  target.n_cols = n_cols;
  target.index = matrices_.size();
  matrices_.push_back({&tensor, &target});
}

void WeightLoader::vector(const std::string& name, size_t n, const float*& target) {
  const GgufTensor& tensor = find(name, {n});
  if (type_of(tensor).quantized) {
    throw UnsupportedModelError(gguf_.path() + ": '" + name + "' is a quantized vector; expected f32, f16 or bf16");
  }
  vectors_.push_back({&tensor, &target, n});
}

void WeightLoader::projection(const std::string& name, size_t n_rows, size_t n_cols, Projection& target) {
  matrix(name + ".weight", n_rows, n_cols, target.weight);
  if (has(name + ".bias")) vector(name + ".bias", n_rows, target.bias);
}

void WeightLoader::layer_norm(const std::string& name, size_t n, Norm& target) {
  vector(name + ".weight", n, target.weight);
  vector(name + ".bias", n, target.bias);
}

std::vector<Matrix> WeightLoader::matrices() const {
  std::vector<Matrix> all;
  for (const MatrixRequest& request : matrices_) all.push_back(*request.target);
  return all;
}

Buffer WeightLoader::load(ThreadPool& pool, LoadProgress* progress) {
  refuse_unrequested();
  size_t image_bytes = 0;
  for (const MatrixRequest& request : matrices_)
    image_bytes += round_up(request.target->image_bytes(), kTensorAlignment);
  for (const VectorRequest& request : vectors_) image_bytes += round_up(request.n * sizeof(float), kTensorAlignment);

  Buffer image(image_bytes);
  gguf_.check_unchanged();
  uint8_t* next = load_matrices(pool, progress, image.data());
  load_vectors(next);
  gguf_.check_unchanged();
  return image;
}

uint8_t* WeightLoader::load_matrices(ThreadPool& pool, LoadProgress* progress, uint8_t* next) {
  std::vector<std::vector<MatrixInFile>> placed(gguf_.n_parts());  // by file
  for (const MatrixRequest& request : matrices_) {
    placed[request.tensor->part].push_back({request.target, request.tensor->offset_bytes, next});
    request.target->panels = next;
    next += round_up(request.target->image_bytes(), kTensorAlignment);
  }
  if (progress != nullptr) {
    for (size_t i = 0; i < placed.size(); ++i) progress->total_bytes += gguf_.part(i).data_bytes();
  }
  for (size_t i = 0; i < placed.size(); ++i) {
    std::sort(placed[i].begin(), placed[i].end(),
              [](const MatrixInFile& a, const MatrixInFile& b) { return a.offset_bytes < b.offset_bytes; });
    const size_t bad = DataSection(gguf_.part(i), pool).pack(placed[i], progress);
    if (bad < placed[i].size()) fail_not_finite(placed[i][bad].weight->name);
  }
  return next;
}

void WeightLoader::load_vectors(uint8_t* next) {
  for (const VectorRequest& request : vectors_) {
    const TypeTraits& traits = type_of(*request.tensor);
    const std::vector<uint8_t> values = gguf_.copy_of(*request.tensor, request.tensor->n_bytes);
    if (!all_finite(traits.type, values.data(), request.n)) fail_not_finite(request.tensor->name);
    float* out = reinterpret_cast<float*>(next);
    dequantize_row(traits.type, values.data(), request.n, out);
    *request.target = out;
    next += round_up(request.n * sizeof(float), kTensorAlignment);
  }
}

const GgufTensor& WeightLoader::find(const std::string& name, const std::vector<uint64_t>& dimensions) {
  const GgufTensor* tensor = gguf_.find_tensor(name);
  if (tensor == nullptr) {
    throw ModelFormatError(gguf_.path() + ": tensor '" + name +
                           "' is missing: the file is incomplete; convert the checkpoint again");
  }
  if (tensor->dimensions != dimensions) {
    throw ModelFormatError(gguf_.path() + ": tensor '" + name + "': expected shape " + shape_text(dimensions) +
                           " from the metadata, got " + shape_text(tensor->dimensions));
  }
  requested_.insert(name);
  return *tensor;
}

const TypeTraits& WeightLoader::type_of(const GgufTensor& tensor) const {
  const TypeTraits* traits = traits_from_ggml_id(tensor.ggml_type);
  if (traits == nullptr || !has_products(*traits)) {
    const GgmlType* known = find_ggml_type(tensor.ggml_type);
    throw UnsupportedModelError(gguf_.path() + ": tensor '" + tensor.name + "' has type " +
                                (known != nullptr ? std::string(known->name) : std::to_string(tensor.ggml_type)) +
                                ", the native engine reads " + type_names("and", has_products) +
                                "; the llama.cpp backend may run it: Belle.load(path, backend=\"llama.cpp\")");
  }
  return *traits;
}

void WeightLoader::fail_not_finite(const std::string& name) const {
  throw ModelFormatError(gguf_.path() + ": tensor '" + name +
                         "' holds NaN or infinite values: the file is damaged; download or convert it again");
}

void WeightLoader::refuse_unrequested() const {
  for (const GgufTensor& tensor : gguf_.tensors()) {
    if (requested_.count(tensor.name) != 0) continue;
    throw UnsupportedModelError(gguf_.path() + ": tensor '" + tensor.name +
                                "' has no place in this engine's model, so its output would be wrong without it; "
                                "the llama.cpp backend may run the file: Belle.load(path, backend=\"llama.cpp\")");
  }
}

}  // namespace belle
