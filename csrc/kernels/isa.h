// The one symbol that each ISA file exports.
#pragma once

#include "kernels/table.h"

namespace belle {

const KernelTable* scalar_kernels() noexcept;
#if defined(__x86_64__) || defined(_M_X64)
#define BELLE_HAS_X86_KERNELS 1
const KernelTable* avx2_kernels() noexcept;
const KernelTable* avxvnni_kernels() noexcept;
const KernelTable* avx512vnni_kernels() noexcept;
const KernelTable* amx_kernels() noexcept;           // where the build defines BELLE_HAS_AMX: its compiler knows AMX
const KernelTable* amx_emulated_kernels() noexcept;  // where it defines BELLE_EMULATE_AMX: for tests
#endif

}  // namespace belle
