// The x86 intrinsics, for every x86 tier.
#pragma once

#if defined(__GNUC__) && !defined(__clang__)
// GCC's own intrinsics read their "undefined" vectors; the warning names its header, not this code.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#include <immintrin.h>

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
