// Reading memory as fast as one thread can: the limit of everything that streams weights.
#pragma once

#include <cstddef>
#include <cstdint>

namespace belle {

/// Reads n_bytes (a multiple of 64) once, in order, prefetching ahead as the kernels do. Returns a sum over all of
/// them.
uint64_t read_stream(const uint8_t* data, size_t n_bytes) noexcept;

}  // namespace belle
