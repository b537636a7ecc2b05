#include "core/memory.h"

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "core/error.h"

#ifdef _WIN32
#include <malloc.h>
#else
#include <sys/mman.h>
#endif

namespace belle {
namespace {

[[noreturn]] void fail(size_t size_bytes) {
  throw OutOfMemory("cannot allocate " + std::to_string(size_bytes) + " bytes of memory");
}

}  // namespace

#ifdef _WIN32

Buffer::Buffer(size_t size_bytes) : size_(size_bytes) {
  if (size_bytes == 0) return;
  mapping_ = _aligned_malloc(size_bytes, 4096);
  if (mapping_ == nullptr) fail(size_bytes);
  std::memset(mapping_, 0, size_bytes);
  mapping_bytes_ = size_bytes;
  data_ = static_cast<uint8_t*>(mapping_);
}

void Buffer::release() noexcept {
  if (mapping_ != nullptr) _aligned_free(mapping_);
}

#else

Buffer::Buffer(size_t size_bytes) : size_(size_bytes) {
  if (size_bytes == 0) return;
  if (size_bytes > SIZE_MAX / 2) fail(size_bytes);  // rounding up must not overflow
  const size_t alignment = size_bytes >= kHugePageBytes ? kHugePageBytes : 4096;
  // An anonymous mapping is page aligned only: ask for one huge page more and start at its boundary.
  mapping_bytes_ = alignment == kHugePageBytes ? round_up(size_bytes, alignment) + alignment : size_bytes;
  mapping_ = mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping_ == MAP_FAILED) {
    mapping_ = nullptr;
    fail(size_bytes);
  }
  const uintptr_t first = reinterpret_cast<uintptr_t>(mapping_);
  data_ = static_cast<uint8_t*>(mapping_) + (round_up(first, alignment) - first);
#ifdef MADV_HUGEPAGE
  if (alignment == kHugePageBytes) madvise(data_, round_up(size_bytes, alignment), MADV_HUGEPAGE);
#endif
}

void Buffer::release() noexcept {
  if (mapping_ != nullptr) munmap(mapping_, mapping_bytes_);
}

#endif

Buffer::~Buffer() { release(); }

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapping_(std::exchange(other.mapping_, nullptr)),
      mapping_bytes_(std::exchange(other.mapping_bytes_, 0)) {}

Buffer& Buffer::operator=(Buffer&& other) noexcept {
  if (this != &other) {
    release();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    mapping_ = std::exchange(other.mapping_, nullptr);
    mapping_bytes_ = std::exchange(other.mapping_bytes_, 0);
  }
  return *this;
}

void FloatBuffer::fit(size_t n) {
  if (n <= size()) return;
  memory_ = Buffer();  // first, so that old and new do not exist together
  memory_ = Buffer(n * sizeof(float));
}

}  // namespace belle
