#include "gguf/split_files.h"

#include <cstdio>

#include "core/error.h"
#include "core/mapped_file.h"
#include "gguf/reader.h"

namespace belle {
namespace {

constexpr uint64_t kMaxParts = 65535;  // split.count is a uint16
constexpr size_t kNamedParts = 4;      // in a message
constexpr const char* kNumber = "split.no";
constexpr const char* kCount = "split.count";
constexpr const char* kTensors = "split.tensors.count";

// "-00001-of-00003.gguf"
std::string suffix_of(uint64_t number, uint64_t count) {
  char text[64];
  std::snprintf(text, sizeof text, "-%05u-of-%05u.gguf", static_cast<unsigned>(number + 1),
                static_cast<unsigned>(count));
  return text;
}

std::string base_name(const std::string& path) {
#ifdef _WIN32
  const size_t slash = path.find_last_of("/\\");
#else
  const size_t slash = path.find_last_of('/');
#endif
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

std::string describe(const SplitPlace& place) {
  return "part " + std::to_string(place.number + 1) + " of " + std::to_string(place.count);
}

[[noreturn]] void fail(const GgufFile& file, const std::string& message) {
  throw ModelFormatError(file.path() + ": " + message);
}

}  // namespace

SplitPlace split_place(const GgufFile& file) {
  const SplitPlace place{file.get_uint(kNumber, 0), file.get_uint(kCount, 1)};
  if (place.count > kMaxParts || (place.count > 0 && place.number >= place.count)) {
    fail(file, "metadata 'split.no' is " + std::to_string(place.number) + " and 'split.count' " +
                   std::to_string(place.count) + ", expected a number below a count of at most 65535");
  }
  return place.count == 0 ? SplitPlace{0, 1} : place;
}

std::string part_path(const std::string& path, const SplitPlace& place, uint64_t number) {
  const std::string own = suffix_of(place.number, place.count);
  if (path.size() <= own.size() || path.compare(path.size() - own.size(), own.size(), own) != 0) return "";
  return path.substr(0, path.size() - own.size()) + suffix_of(number, place.count);
}

void check_first_part(const GgufFile& file, const SplitPlace& place) {
  const std::string first = part_path(file.path(), place, 0);
  const std::string is_part = "it is " + describe(place) + " of a split model";
  if (first.empty()) {
    fail(file, is_part + ", whose name should end in '" + suffix_of(place.number, place.count) +
                   "': the parts are found by their names; give it its name back");
  }
  if (place.number != 0) {
    const bool found = MappedFile::exists(first);
    fail(file, is_part + ": give the first part, '" + base_name(first) + "'" +
                   (found ? "" : ", which is missing beside it: download all parts into one folder"));
  }
  std::string names;
  size_t n_missing = 0;
  for (uint64_t i = 1; i < place.count; ++i) {
    const std::string path = part_path(file.path(), place, i);
    if (MappedFile::exists(path)) continue;
    if (n_missing++ < kNamedParts) names += (n_missing > 1 ? ", '" : "'") + base_name(path) + "'";
  }
  if (n_missing == 0) return;
  if (n_missing > kNamedParts) names += " and " + std::to_string(n_missing - kNamedParts) + " more";
  fail(file, is_part + ", and " + names + (n_missing == 1 ? " is" : " are") +
                 " missing beside it: download all parts into one folder");
}

void check_part(const GgufFile& first, const GgufFile& part, uint64_t number) {
  const SplitPlace expected{number, split_place(first).count};
  const SplitPlace found = split_place(part);
  if (part.find(kCount) == nullptr) {
    fail(part, "expected " + describe(expected) +
                   " of a split model by its name, but it is no part of one: the parts "
                   "are mixed up; download them again");
  }
  if (found.number != expected.number || found.count != expected.count) {
    fail(part, "expected " + describe(expected) + " by its name, but it says that it is " + describe(found) +
                   ": the parts are mixed up or renamed; give each its own name again");
  }
  const uint64_t total = first.get_uint(kTensors, 0), stated = part.get_uint(kTensors, total);
  if (stated != total) {
    fail(part, "it is of a split model with " + std::to_string(stated) + " tensors, the first part of one with " +
                   std::to_string(total) + ": the parts are of different models");
  }
}

}  // namespace belle
