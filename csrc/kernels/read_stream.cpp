#include "kernels/read_stream.h"

#include <cstring>

#ifdef _MSC_VER
#include <intrin.h>
#endif

namespace belle {
namespace {

constexpr size_t kLineBytes = 64;
constexpr size_t kPrefetchAhead = 8 * 288;  // bytes, as in the kernels

inline void prefetch(uintptr_t address) noexcept {
#if defined(__GNUC__)
  __builtin_prefetch(reinterpret_cast<const void*>(address));
#elif defined(_M_X64)
  _mm_prefetch(reinterpret_cast<const char*>(address), _MM_HINT_T0);
#else
  (void)address;
#endif
}

}  // namespace

uint64_t read_stream(const uint8_t* data, size_t n_bytes) noexcept {
  constexpr size_t kWords = kLineBytes / sizeof(uint64_t);
  uint64_t sums[kWords] = {};
  for (size_t at = 0; at < n_bytes; at += kLineBytes) {
    prefetch(reinterpret_cast<uintptr_t>(data) + at + kPrefetchAhead);  // no pointer: may pass the buffer's end
    uint64_t words[kWords];
    std::memcpy(words, data + at, kLineBytes);
    for (size_t i = 0; i < kWords; ++i) sums[i] += words[i];
  }
  uint64_t total = 0;
  for (size_t i = 0; i < kWords; ++i) total += sums[i];
  return total;
}

}  // namespace belle
