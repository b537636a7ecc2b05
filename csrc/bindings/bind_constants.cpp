// Numbers and names that Python shares with the engine. They are defined where C++ uses them, and nowhere else.
#include "bindings/bindings.h"
#include "core/half.h"
#include "core/thread_pool.h"
#include "engine/engine.h"
#include "gguf/header_checksums.h"
#include "kernels/table.h"
#include "kv/shape.h"
#include "model/config.h"
#include "ops/attention.h"
#include "quant/panels.h"
#include "quant/types.h"

namespace belle {

void bind_constants(py::module_& module) {
  module.attr("MAX_THREADS") = ThreadPool::kMaxThreads;
  module.attr("MAX_SIZE") = kMaxSize;
  module.attr("MAX_HEAD_DIM") = kMaxHeadDim;
  module.attr("NORM_EPS_BOUNDS") = py::make_tuple(kNormEpsAbove, kNormEpsBelow);
  module.attr("MAX_PASS_ROWS") = kMaxPassRows;
  module.attr("BLOCK_SIZE") = kBlockSize;
  module.attr("PANEL_ROWS") = kPanelRows;
  module.attr("PAGE_TOKENS") = kPageTokens;
  module.attr("HALF_OVERFLOW") = kHalfOverflow;
  py::dict kv_bytes;
  kv_bytes["f32"] = kv_element_bytes(KvType::kF32);
  kv_bytes["f16"] = kv_element_bytes(KvType::kF16);
  module.attr("KV_BYTES") = kv_bytes;
  py::set float_types;
  for (size_t i = 0; i < kWeightTypeCount; ++i) {
    const TypeTraits& traits = traits_of(static_cast<WeightType>(i));
    if (!traits.quantized) float_types.add(traits.name);
  }
  module.attr("FLOAT_TYPES") = py::frozenset(float_types);
  module.attr("CHECKSUM_ALGORITHM") = kChecksumAlgorithm;
  module.attr("CHECKSUM_CHUNK_BYTES") = kChecksumChunkBytes;
  module.attr("CHECKSUM_KEYS") =
      py::make_tuple(kChecksumAlgorithmKey, kChecksumChunkBytesKey, kChecksumDataKey, kChecksumHeaderKey);
  module.attr("ENTRY_HASHES_KEY") = kEntryHashesKey;
}

}  // namespace belle
