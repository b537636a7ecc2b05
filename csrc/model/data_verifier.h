// The data section of a file against its checksums, each chunk once.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/thread_pool.h"
#include "gguf/reader.h"

namespace belle {

/// Does nothing for a file without checksums. All members throw ModelFormatError, naming the tensors and the bytes, for
/// the first chunk that does not match.
class DataVerifier {
 public:
  DataVerifier(const GgufFile& gguf, ThreadPool& pool);

  /// The chunks that hold [offset_bytes, offset_bytes + n_bytes) of the file, but those verified before.
  void verify(uint64_t offset_bytes, uint64_t n_bytes);
  void verify(const GgufTensor& tensor) { verify(tensor.offset_bytes, tensor.n_bytes); }

  /// Called now and then with the bytes that are done, and all; may throw to end the work.
  using Progress = std::function<void(uint64_t done_bytes, uint64_t total_bytes)>;
  /// Every chunk that is left, padding included; their pages need not stay resident.
  void verify_rest(const Progress& progress = nullptr);

 private:
  [[noreturn]] void fail(size_t chunk) const;
  std::string tensors_in(uint64_t begin, uint64_t end) const;

  const GgufFile& gguf_;
  ThreadPool& pool_;
  std::vector<bool> verified_;  // by chunk
};

}  // namespace belle
