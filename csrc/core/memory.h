// Anonymous memory in 2 MB pages where the system grants them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace belle {

constexpr size_t kHugePageBytes = size_t{2} << 20;

inline size_t round_up(size_t value, size_t multiple) noexcept { return (value + multiple - 1) / multiple * multiple; }

/// Zero-filled, movable memory. Large buffers are 2 MB aligned and advised to use huge pages.
/// Throws OutOfMemory that names the size when the system refuses.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t size_bytes);
  ~Buffer();
  Buffer(Buffer&& other) noexcept;
  Buffer& operator=(Buffer&& other) noexcept;
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  uint8_t* data() noexcept { return data_; }
  const uint8_t* data() const noexcept { return data_; }
  size_t size() const noexcept { return size_; }

 private:
  void release() noexcept;

  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  void* mapping_ = nullptr;
  size_t mapping_bytes_ = 0;
};

/// An array of floats in such memory. Arrays that many operations walk through are faster there: in pages of 4 KB a
/// product's rows and columns cost an address translation each.
class FloatBuffer {
 public:
  /// Makes room for n floats. More room than before is new memory: zeros instead of what was there. Errors as in
  /// Buffer; the array is empty then.
  void fit(size_t n);

  float* data() noexcept { return reinterpret_cast<float*>(memory_.data()); }
  const float* data() const noexcept { return reinterpret_cast<const float*>(memory_.data()); }
  size_t size() const noexcept { return memory_.size() / sizeof(float); }

 private:
  Buffer memory_;
};

}  // namespace belle
