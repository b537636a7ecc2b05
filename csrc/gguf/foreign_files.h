// What a file that is no GGUF seems to be, and what to do about it.
#pragma once

#include <cstdint>
#include <string>

#include "core/span.h"

namespace belle {

/// A phrase for an error message: the kind of file and the remedy.
std::string describe_foreign_file(Span<const uint8_t> bytes);

}  // namespace belle
