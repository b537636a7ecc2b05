// The architectures that this engine runs, by their GGUF names.
#pragma once

#include <memory>

#include "core/load_progress.h"
#include "gguf/reader.h"
#include "model/config.h"
#include "ops/context.h"

namespace belle {

class ConfigKeys;
class Decoder;

struct Architecture {
  const char* name;  // general.architecture
  /// Reads and checks the metadata that this architecture alone has; the shared sizes are there already.
  void (*read_config)(const ConfigKeys& keys, ModelConfig& config);
  /// Throws what loading throws before it reads a weight.
  void (*check)(const GgufFile& gguf, const ModelConfig& config);
  /// Reads and packs the weights. progress: null, or where others read how far it is.
  std::unique_ptr<Decoder> (*load)(const GgufFile& gguf, const ModelConfig& config, const OpsContext& context,
                                   LoadProgress* progress);
};

extern const Architecture kBloom;  // bloom.cpp
extern const Architecture kLlama;  // llama.cpp

/// Throws UnsupportedModelError that lists the names where the file's is none of them.
const Architecture& architecture_of(const GgufFile& gguf);

/// Reads and packs the weights. Errors as in read_config and WeightLoader.
std::unique_ptr<Decoder> load_decoder(const GgufFile& gguf, const OpsContext& context, LoadProgress* progress);

/// Throws what loading throws before it reads a weight: a file that passes has the metadata, tensors, shapes and types
/// of a model that this engine runs.
void check_decoder(const GgufFile& gguf);

}  // namespace belle
