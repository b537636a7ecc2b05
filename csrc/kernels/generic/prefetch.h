// Asking for memory ahead of its use. Addresses are numbers, no pointers: they may pass a buffer's end.
#pragma once

#include <stddef.h>
#include <stdint.h>

#if defined(_MSC_VER)
#include <intrin.h>
#endif

namespace belle {
namespace {

constexpr size_t kLineBytes = 64;

/// Into the first-level cache.
inline void prefetch_line(uintptr_t address) noexcept {
#if defined(__GNUC__)
  __builtin_prefetch(reinterpret_cast<const void*>(address), 0, 3);  // NOLINT(performance-no-int-to-ptr)
#elif defined(_M_X64)
  _mm_prefetch(reinterpret_cast<const char*>(address), _MM_HINT_T0);
#else
  (void)address;
#endif
}

/// Into the second-level cache.
inline void prefetch_line_l2(uintptr_t address) noexcept {
#if defined(__GNUC__)
  __builtin_prefetch(reinterpret_cast<const void*>(address), 0, 2);  // NOLINT(performance-no-int-to-ptr)
#elif defined(_M_X64)
  _mm_prefetch(reinterpret_cast<const char*>(address), _MM_HINT_T1);
#else
  (void)address;
#endif
}

/// The lines that start among these bytes, into the first-level cache.
inline void prefetch_lines(uintptr_t address, size_t bytes) noexcept {
  for (uintptr_t line = (address + kLineBytes - 1) & ~uintptr_t{kLineBytes - 1}; line < address + bytes;
       line += kLineBytes) {
    prefetch_line(line);
  }
}

}  // namespace
}  // namespace belle
