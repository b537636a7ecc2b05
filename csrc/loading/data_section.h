// The data section of one GGUF file, read once and compared with its checksums.
#pragma once

#include <functional>
#include <string>

#include "core/span.h"
#include "core/thread_pool.h"
#include "gguf/reader.h"
#include "loading/section_reader.h"

namespace belle {

/// Both members compare every chunk, padding included, where the file has checksums. They throw ModelFormatError,
/// naming the tensors and the bytes, for the first chunk that does not match; ModelFormatError when the file changed;
/// SystemError when it cannot be read.
class DataSection {
 public:
  DataSection(const GgufFile& gguf, ThreadPool& pool) noexcept : gguf_(gguf), pool_(pool) {}

  /// Called now and then with the bytes that are done, and all; may throw to end the work.
  using Progress = std::function<void(uint64_t done_bytes, uint64_t total_bytes)>;
  /// Does nothing for a file without checksums.
  void verify(const Progress& progress) const;

  /// Packs the matrices, sorted by offset_bytes. Returns the first one with a weight that is not finite, by its index;
  /// matrices.size() where all are finite.
  /// progress: null, or where others read how far it is.
  size_t pack(Span<const MatrixInFile> matrices, LoadProgress* progress = nullptr) const;

 private:
  FileChunks chunks() const noexcept;
  void refuse(const ReadFindings& findings) const;
  [[noreturn]] void fail(uint64_t chunk) const;
  std::string tensors_in(uint64_t begin, uint64_t end) const;

  const GgufFile& gguf_;
  ThreadPool& pool_;
};

}  // namespace belle
