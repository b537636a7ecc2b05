// A whole file mapped read-only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace belle {

/// Throws SystemError with the errno of the failing call.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);  // UTF-8 on every system
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const noexcept { return path_; }
  const uint8_t* data() const noexcept { return data_; }
  size_t size() const noexcept { return size_; }

  /// Tells the system that [offset, offset + n_bytes) will not be read again soon, so its pages need not stay resident.
  void drop_pages(size_t offset, size_t n_bytes) const noexcept;

 private:
  std::string path_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace belle
