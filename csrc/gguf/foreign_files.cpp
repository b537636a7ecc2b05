#include "gguf/foreign_files.h"

#include <algorithm>
#include <cstring>

namespace belle {
namespace {

constexpr const char* kConvert = "convert the folder it lies in: belle-edge convert FOLDER -o model.gguf";
constexpr size_t kSample = 4096;  // bytes that are looked at

struct Signature {
  const char* start;
  const char* description;
};

// Old llama.cpp files store their magic as a little-endian number, so it reads backwards.
constexpr Signature kSignatures[] = {
    {"version https://git-lfs",
     "it is a Git LFS pointer; run 'git lfs pull' in its folder, or download the file again"},
    {"lmgg", "it has a format of llama.cpp from before GGUF; convert the original checkpoint again"},
    {"tjgg", "it has a format of llama.cpp from before GGUF; convert the original checkpoint again"},
    {"fmgg", "it has a format of llama.cpp from before GGUF; convert the original checkpoint again"},
    {"<", "it is a web page, as failed downloads leave them; download the file again"},
    {"{", "it is JSON text, perhaps a server's error message; download the file again"},
};

bool starts_with(Span<const uint8_t> bytes, const char* start, size_t length) noexcept {
  return bytes.size() >= length && std::memcmp(bytes.data(), start, length) == 0;
}

bool is_space(uint8_t byte) noexcept { return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n'; }

// 8 bytes of header length, then a JSON object.
bool is_safetensors(Span<const uint8_t> bytes) noexcept {
  if (bytes.size() < 9 || bytes[8] != '{') return false;
  uint64_t header_bytes;
  std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
  return header_bytes <= bytes.size() - 8;
}

}  // namespace

std::string describe_foreign_file(Span<const uint8_t> bytes) {
  if (bytes.empty()) return "it is empty (0 bytes); download or convert it again";
  const uint8_t* sample_end = bytes.begin() + std::min(bytes.size(), kSample);
  if (std::all_of(bytes.begin(), sample_end, [](uint8_t byte) { return byte == 0; })) {
    return "it holds zero bytes, as unfinished downloads leave them; download it again";
  }
  if (starts_with(bytes, "PK\x03\x04", 4)) return std::string("it is a zip archive or PyTorch checkpoint; ") + kConvert;
  if (starts_with(bytes, "\x80\x02", 2)) return std::string("it is an old PyTorch checkpoint; ") + kConvert;
  if (is_safetensors(bytes)) return std::string("it is a safetensors checkpoint; ") + kConvert;
  const uint8_t* text = std::find_if_not(bytes.begin(), sample_end, is_space);
  const Span<const uint8_t> rest(text, static_cast<size_t>(bytes.end() - text));
  for (const Signature& signature : kSignatures) {
    if (starts_with(rest, signature.start, std::strlen(signature.start))) return signature.description;
  }
  return "it does not start with 'GGUF'; a checkpoint becomes one with 'belle-edge convert'";
}

}  // namespace belle
