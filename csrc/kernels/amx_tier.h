// All that the AMX tier is made of, for amx.cpp and its emulated twin: the wide kernels on tiles, and for everything
// else the AVX-512 VNNI code.
#pragma once

#include "kernels/avx512.h"
#include "kernels/avx512_formats.h"

#include "kernels/slab_pack.h"

#include "kernels/slab_expand.h"

#include "kernels/amx_pack.h"

#include "kernels/amx_expand.h"

#include "kernels/wide_matmul.h"

#include "kernels/amx_chunks.h"
#include "kernels/vector_table.h"

namespace belle {
namespace {

constexpr KernelTable amx_table(const char* name) noexcept {
  return table_of<Q4_0Format, Q4_1Format, Q8_0Format>(name, &kSlab256Kernels, &kBf16Kernels);
}

}  // namespace
}  // namespace belle
