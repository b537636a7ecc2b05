// A whole file mapped read-only.
//
// A mapping follows its file. Replacing the file by renaming another over it is safe: the mapping keeps the old one.
// Cutting it in place is not: reading past the new end would end the process (SIGBUS). check_unchanged() before reading
// turns that into an error; what remains is a cut during the read itself, which no check can rule out. read() copies,
// and reports a cut at any time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/span.h"

namespace belle {

/// Throws SystemError with the errno of the failing call.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);  // UTF-8 on every system
  /// Bytes that outlive this object, in place of a file; `name` stands for the path.
  MappedFile(const std::string& name, Span<const uint8_t> bytes);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const noexcept { return path_; }
  const uint8_t* data() const noexcept { return data_; }
  size_t size() const noexcept { return size_; }

  /// Throws ModelFormatError when the file was cut, extended or rewritten since it was opened.
  void check_unchanged() const;
  /// check_unchanged(), and throws ModelFormatError when another file has its name now, or none.
  void check_in_place() const;
  /// Copies the bytes from `offset` on. Returns 0, or an errno: EIO where the file ends before. Unlike data(), this
  /// leaves no pages resident, and a file that was cut is no signal.
  int read(uint64_t offset, Span<uint8_t> out) const noexcept;
  /// Whether a path names something that can be opened as a file.
  static bool exists(const std::string& path) noexcept;
  /// Throws what read() returned: ModelFormatError where the file changed, else SystemError.
  [[noreturn]] void fail_to_read(int error) const;

 private:
  int copy(uint64_t offset, Span<uint8_t> out) const noexcept;

  std::string path_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
  int descriptor_ = -1;      // POSIX: to see whether the file changes; Windows lets nobody write to a mapped file
  int64_t modified_ns_ = 0;  // time of its last change when it was opened
  bool owns_mapping_ = true;
};

}  // namespace belle
