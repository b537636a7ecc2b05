// Arithmetic of sizes for kernels, which do without the standard library's templates.
#pragma once

#include <stddef.h>

namespace belle {
namespace {

constexpr size_t smaller(size_t a, size_t b) noexcept { return a < b ? a : b; }
constexpr size_t quotient_up(size_t a, size_t b) noexcept { return (a + b - 1) / b; }

}  // namespace
}  // namespace belle
