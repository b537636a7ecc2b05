#include "engine/state.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "core/xxh64.h"
#include "kv/saved_layers.h"

namespace belle {
namespace {

constexpr uint64_t kFingerprintBytes = 256;  // of each tensor

// Layout: Header; tokens int32 [n_tokens]; for each layer keys, then values, of each KV head, each page: its n
// positions in order, keys [head_dim, n], values [n, head_dim]; last XXH64s [1 + n_layers]: of all before the first
// layer, of each layer. Keys and values of q8 keep the order of kernels/byte_page.h, without the slots behind the n
// positions.
struct Header {
  char magic[8];
  uint64_t fingerprint;
  uint64_t n_tokens;
  uint32_t kv_type;
  uint32_t reserved;
};
static_assert(sizeof(Header) == 32, "the header has no padding");
constexpr char kMagic[8] = {'B', 'E', 'L', 'L', 'E', 'K', 'V', '3'};

// FNV-1a over 8-byte words (Fowler, Noll & Vo), the tail zero-padded: detects damage, not malice.
uint64_t hash_bytes(uint64_t hash, const uint8_t* data, size_t size) noexcept {
  for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, data + i, std::min(sizeof word, size - i));
    hash = (hash ^ word) * 0x100000001b3u;
    hash ^= hash >> 29;
  }
  return hash;
}

constexpr uint64_t kHashStart = 0xcbf29ce484222325u;

// Where the parts of a state lie.
struct Places {
  Places(const KvShape& shape, size_t n_tokens) noexcept
      : layers(sizeof(Header) + n_tokens * sizeof(int32_t)),
        layer_bytes(saved_layer_bytes(shape, n_tokens)),
        hashes(layers + shape.n_layers * layer_bytes),
        end(hashes + (1 + shape.n_layers) * sizeof(uint64_t)) {}

  size_t layers;       // the first layer
  size_t layer_bytes;  // of each
  size_t hashes;
  size_t end;
};

}  // namespace

uint64_t fingerprint_of(const GgufFile& gguf) {
  const uint64_t size = gguf.size_bytes();
  size_t header_bytes = gguf.mapping().size();
  for (const GgufTensor& tensor : gguf.tensors()) {
    if (tensor.part == 0) header_bytes = std::min<size_t>(header_bytes, tensor.offset_bytes);
  }
  uint64_t hash = hash_bytes(kHashStart ^ size, gguf.mapping().data(), header_bytes);
  for (const GgufTensor& tensor : gguf.tensors()) {
    const std::vector<uint8_t> bytes = gguf.copy_of(tensor, kFingerprintBytes);
    hash = hash_bytes(hash, bytes.data(), bytes.size());
  }
  return hash;
}

size_t state_bytes(const KvShape& shape, size_t n_tokens) noexcept { return Places(shape, n_tokens).end; }

void encode_state(uint64_t fingerprint, const KvSequence& kv, Span<const int32_t> tokens, ThreadPool& pool,
                  uint8_t* state) {
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.fingerprint = fingerprint;
  header.n_tokens = tokens.size();
  header.kv_type = static_cast<uint32_t>(kv.shape().type);
  std::memcpy(state, &header, sizeof header);
  if (!tokens.empty()) std::memcpy(state + sizeof header, tokens.data(), tokens.size() * sizeof(int32_t));

  const Places places(kv.shape(), tokens.size());
  std::vector<uint64_t> hashes(1 + kv.shape().n_layers);
  hashes[0] = xxh64({state, places.layers});
  save_layers(kv, tokens.size(), pool, state + places.layers, hashes.data() + 1);
  std::memcpy(state + places.hashes, hashes.data(), hashes.size() * sizeof(uint64_t));
}

void decode_state(Span<const uint8_t> state, uint64_t fingerprint, size_t n_token_ids, ThreadPool& pool, KvSequence& kv,
                  std::vector<int32_t>& tokens) {
  Header header;
  if (state.size() < sizeof header) throw std::invalid_argument("the saved state is truncated");
  std::memcpy(&header, state.data(), sizeof header);
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) {
    throw std::invalid_argument("not a saved sequence of this version");
  }
  if (header.fingerprint != fingerprint) {
    throw std::invalid_argument("the saved state comes from another model file: load that file to restore it");
  }
  if (header.kv_type != static_cast<uint32_t>(kv.shape().type)) {
    throw std::invalid_argument(
        "the saved state has another KV type: load the model with the kv type it was saved with");
  }
  if (header.n_tokens > state.size() || state_bytes(kv.shape(), header.n_tokens) != state.size()) {
    throw std::invalid_argument("the saved state is truncated or damaged");
  }
  const Places places(kv.shape(), header.n_tokens);
  const auto check = [&](const uint64_t* hashes, size_t first, size_t n) {
    const size_t n_bytes = n * sizeof(uint64_t);
    if (std::memcmp(state.data() + places.hashes + first * sizeof(uint64_t), hashes, n_bytes) == 0) return;
    throw std::invalid_argument("the saved state is damaged: its checksum does not match");
  };
  const uint64_t hash = xxh64({state.data(), places.layers});
  check(&hash, 0, 1);
  tokens.resize(header.n_tokens);
  if (!tokens.empty()) std::memcpy(tokens.data(), state.data() + sizeof header, tokens.size() * sizeof(int32_t));
  for (const int32_t id : tokens) {
    if (id < 0 || static_cast<size_t>(id) >= n_token_ids) throw std::invalid_argument("the saved state is damaged");
  }
  kv.reserve(0, tokens.size());
  std::vector<uint64_t> hashes(kv.shape().n_layers);
  restore_layers(kv, tokens.size(), pool, state.data() + places.layers, hashes.data());
  check(hashes.data(), 1, hashes.size());
}

}  // namespace belle
