// The weight types in a message.
#pragma once

#include <string>

#include "quant/types.h"

namespace belle {

/// "f32, f16, ... q4_1 and q8_0" for the word "and": the types that `listed` is true for.
std::string type_names(const char* word, bool (*listed)(const TypeTraits&));

}  // namespace belle
