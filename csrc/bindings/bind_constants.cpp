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

namespace {

size_t kv_head_bytes(const std::string& name, size_t head_dim) {
  for (const KvType type : kKvTypes) {
    if (name == kv_type_name(type)) return KvShape{type, 1, 1, head_dim}.head_bytes() / kPageTokens;
  }
  throw std::invalid_argument("KV type '" + name + "' is unknown: expected f32, f16 or q8");
}

}  // namespace

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
  py::list kv_types;
  for (const KvType type : kKvTypes) kv_types.append(kv_type_name(type));
  module.attr("KV_TYPES") = py::tuple(kv_types);
  module.def("kv_head_bytes", kv_head_bytes, py::arg("kv_type"), py::arg("head_dim"));
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
