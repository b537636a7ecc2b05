// Loads tensors into one image of packed panels and float vectors.
#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "core/load_progress.h"
#include "core/memory.h"
#include "gguf/reader.h"
#include "ops/linear.h"

namespace belle {

/// LayerNorm's parameters, or RMSNorm's (no bias).
struct Norm {
  const float* weight = nullptr;  // [n]
  const float* bias = nullptr;    // [n]
};

/// A linear layer: weight [n_rows, n_cols] and an optional bias [n_rows].
struct Projection {
  Matrix weight;
  const float* bias = nullptr;
};

/// An architecture requests its tensors by name and shape, then loads them all at once: the image's size is known
/// before the first byte is packed. Requested objects must stay where they are until load() returns.
class WeightLoader {
 public:
  explicit WeightLoader(const GgufFile& gguf) : gguf_(gguf) {}

  bool has(const std::string& name) const { return gguf_.find_tensor(name) != nullptr; }
  /// Row count of a two-dimensional tensor. Throws ModelFormatError when it is missing.
  size_t rows_of(const std::string& name) const;

  void matrix(const std::string& name, size_t n_rows, size_t n_cols, Matrix& target);
  void vector(const std::string& name, size_t n, const float*& target);
  /// `name`.weight, and `name`.bias if the file has it.
  void projection(const std::string& name, size_t n_rows, size_t n_cols, Projection& target);
  /// `name`.weight and `name`.bias
  void layer_norm(const std::string& name, size_t n, Norm& target);

  /// Packs everything that was requested; the targets then point into the returned image.
  /// Throws UnsupportedModelError when the file has tensors that nobody requested: ignoring one would give wrong
  /// output. Throws ModelFormatError for bytes that do not match their checksum, for weights that are not finite, and
  /// when the file changes meanwhile. progress: null, or where others read how far it is.
  Buffer load(ThreadPool& pool, LoadProgress* progress = nullptr);

  /// The part of load() that needs no weights: throws UnsupportedModelError as it does.
  void refuse_unrequested() const;

  /// The requested matrices, in the order of the image.
  std::vector<Matrix> matrices() const;

 private:
  struct MatrixRequest {
    const GgufTensor* tensor;
    Matrix* target;
  };
  struct VectorRequest {
    const GgufTensor* tensor;
    const float** target;
    size_t n;
  };

  const GgufTensor& find(const std::string& name, const std::vector<uint64_t>& dimensions);
  const TypeTraits& type_of(const GgufTensor& tensor) const;
  [[noreturn]] void fail_not_finite(const std::string& name) const;
  /// Both fill the image from `next` on; the first returns where it ends.
  uint8_t* load_matrices(ThreadPool& pool, LoadProgress* progress, uint8_t* next);
  void load_vectors(uint8_t* next);

  const GgufFile& gguf_;
  std::vector<MatrixRequest> matrices_;
  std::vector<VectorRequest> vectors_;
  std::unordered_set<std::string> requested_;
};

}  // namespace belle
