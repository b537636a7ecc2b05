// The AVX-512 VNNI tier: four byte products of 16 rows summed into 32 bits by one instruction.
#include "kernels/avx512.h"
#include "kernels/avx512_formats.h"

#include "kernels/avx512_words.h"

#include "kernels/slab_expand.h"

#include "kernels/wide_matmul.h"

#include "kernels/vector_table.h"
namespace belle {
namespace {

constexpr size_t kSlabTokens = 4;   // of a tile of slabs, with
constexpr size_t kTileVectors = 4;  // panels: 16 sums, 4 vectors of weights, activations

}  // namespace
}  // namespace belle

#include "kernels/vnni_slab.h"

namespace belle {
namespace {

constexpr KernelTable kTable = table_of<Q4_0Format, Q4_1Format, Q8_0Format, Multiply>("avx512vnni", &kSlab256Kernels);

}  // namespace

const KernelTable* avx512vnni_kernels() noexcept { return &kTable; }

}  // namespace belle
