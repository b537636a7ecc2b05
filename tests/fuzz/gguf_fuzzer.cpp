// A libFuzzer target for everything that reads a GGUF before a weight is multiplied: the reader, the typed and the
// string accessors that the Python conversions use, the configuration, and the packing of the weights.
// tests/fuzz/README.md says how to build and run it.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string>

#include "core/error.h"
#include "gguf/ggml_types.h"
#include "gguf/reader.h"
#include "kernels/isa.h"
#include "model/architectures.h"
#include "model/decoder.h"

namespace {

volatile uint64_t sink;  // keeps the reads

void touch(const uint8_t* data, uint64_t n_bytes) {
  uint64_t sum = 0;
  for (uint64_t i = 0; i < n_bytes; ++i) sum += data[i];
  sink = sink + sum;
}

template <typename Call>
void expect_result_or_format_error(const Call& call) {
  try {
    call();
  } catch (const belle::ModelFormatError&) {}
}

void read_metadata(const belle::GgufFile& file) {
  for (const std::string& key : file.keys()) {
    const belle::MetadataValue* value = file.find(key);
    if (value == nullptr) std::abort();
    if (value->type == belle::MetadataType::kString) {
      for (const std::string_view text : file.strings(*value)) {
        touch(reinterpret_cast<const uint8_t*>(text.data()), text.size());
      }
    } else {
      touch(value->payload, value->count * belle::metadata_type_bytes(value->type));
    }
    expect_result_or_format_error([&] { sink = sink + file.get_uint(key); });
    expect_result_or_format_error([&] { sink = sink + (file.get_float(key) > 0.0); });
    expect_result_or_format_error([&] { sink = sink + file.get_string(key).size(); });
  }
}

void read_tensors(const belle::GgufFile& file) {
  for (const belle::GgufTensor& tensor : file.tensors()) {
    if (file.find_tensor(tensor.name) == nullptr) std::abort();
    touch(file.tensor_data(tensor), tensor.n_bytes);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static belle::ThreadPool pool(1);
  static const belle::OpsContext context{*belle::scalar_kernels(), pool};
  // An exact copy on the heap: a read past the end is one past its allocation.
  const std::unique_ptr<uint8_t[]> copy(new uint8_t[size]);
  std::copy(data, data + size, copy.get());
  try {
    const belle::GgufFile file("fuzz.gguf", {copy.get(), size});
    read_metadata(file);
    read_tensors(file);
    sink = sink + belle::read_config(file).n_layers;
    sink = sink + belle::load_decoder(file, context, nullptr)->weight_bytes();
  } catch (const belle::ModelFormatError&) {
  } catch (const belle::UnsupportedModelError&) {}
  return 0;
}
