// The weight types in a message.
#pragma once

#include <string>

namespace belle {

/// "f32, f16, ... q4_1 and q8_0" for the word "and": every type that the engine reads.
std::string type_names(const char* word);

}  // namespace belle
