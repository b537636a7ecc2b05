// Models in several files, as llama.cpp's gguf-split writes them: NAME-00001-of-00003.gguf with metadata split.*.
// https://github.com/ggml-org/llama.cpp/tree/master/tools/gguf-split
#pragma once

#include <cstdint>
#include <string>

namespace belle {

class GgufFile;

/// What a file's metadata says of its place: part `number` (from 0) of `count`; count 1 for a model in one file.
struct SplitPlace {
  uint64_t number, count;
};

/// Throws ModelFormatError for a place that cannot be.
SplitPlace split_place(const GgufFile& file);

/// The path of part `number` beside a part at `path`; empty where that has no such name.
std::string part_path(const std::string& path, const SplitPlace& place, uint64_t number);

/// Throws ModelFormatError, which says where the first part is and what is missing, unless `file` is the first part
/// under its name and all others lie beside it.
void check_first_part(const GgufFile& file, const SplitPlace& place);

/// Throws ModelFormatError unless `part` says that it is part `number` of the model that `first` begins.
void check_part(const GgufFile& first, const GgufFile& part, uint64_t number);

}  // namespace belle
