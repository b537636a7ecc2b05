#include "engine/state.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace belle {
namespace {

constexpr uint64_t kFingerprintBytes = 256;  // of each tensor

// Layout: Header, tokens int32 [n_tokens], then for each layer, keys then values, each KV head, each page: its n
// positions in order, keys [head_dim, n], values [n, head_dim]; last the uint64 hash of all before it. Keys and values
// of q8 keep the order of kernels/byte_page.h, without the slots behind the n positions.
struct Header {
  char magic[8];
  uint64_t fingerprint;
  uint64_t n_tokens;
  uint32_t kv_type;
  uint32_t reserved;
};
static_assert(sizeof(Header) == 32, "the header has no padding");
constexpr char kMagic[8] = {'B', 'E', 'L', 'L', 'E', 'K', 'V', '2'};

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

// The first n positions of a head's keys in a page.
template <typename Visit>
void visit_keys(const KvShape& shape, uint8_t* keys, size_t n, const Visit& visit) {
  const bool bytes = shape.type == KvType::kQ8;
  const size_t n_rows = bytes ? element_groups(shape.head_dim) : shape.head_dim;
  const size_t slot_bytes = by_kv_type<size_t>(shape.type, 4, 2, kGroupBytes);
  for (size_t row = 0; row < n_rows; ++row) visit(keys + row * kPageTokens * slot_bytes, n * slot_bytes);
  if (bytes) visit(keys + key_scales_at(shape.head_dim), n * sizeof(float));
}

// Those of its values.
template <typename Visit>
void visit_values(const KvShape& shape, uint8_t* values, size_t n, const Visit& visit) {
  if (shape.type != KvType::kQ8) return visit(values, n * shape.values_bytes() / kPageTokens);
  const size_t n_whole = n / kGroupBytes * kGroupBytes, rest = n - n_whole;
  visit(values, n_whole * shape.head_dim);
  for (size_t d = 0; d < shape.head_dim && rest > 0; ++d) {
    visit(values + value_byte_at(d, n_whole, shape.head_dim), rest);
  }
  visit(values + value_scales_at(shape.head_dim), n * sizeof(float));
}

// Calls visit(memory, n_bytes) on each run of bytes, in the layout's order.
template <typename Visit>
void visit_positions(const KvSequence& kv, size_t n_tokens, const Visit& visit) {
  const KvShape& shape = kv.shape();
  for (size_t layer = 0; layer < shape.n_layers; ++layer) {
    for (size_t side = 0; side < 2; ++side) {
      for (size_t head = 0; head < shape.n_kv_heads; ++head) {
        for (size_t first = 0; first < n_tokens; first += kPageTokens) {
          uint8_t* page = kv.page_table()[first / kPageTokens];
          const size_t n = std::min(kPageTokens, n_tokens - first);
          if (side == 0) visit_keys(shape, page + shape.keys_offset(layer, head), n, visit);
          else visit_values(shape, page + shape.values_offset(layer, head), n, visit);
        }
      }
    }
  }
}

size_t state_bytes(const KvShape& shape, size_t n_tokens) noexcept {
  const size_t kv_bytes = shape.page_bytes() / kPageTokens * n_tokens;
  return sizeof(Header) + n_tokens * sizeof(int32_t) + kv_bytes + sizeof(uint64_t);
}

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

std::vector<uint8_t> encode_state(uint64_t fingerprint, const KvSequence& kv, Span<const int32_t> tokens) {
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.fingerprint = fingerprint;
  header.n_tokens = tokens.size();
  header.kv_type = static_cast<uint32_t>(kv.shape().type);

  std::vector<uint8_t> state(state_bytes(kv.shape(), tokens.size()));
  uint8_t* next = state.data();
  const auto append = [&next](const void* data, size_t n_bytes) {
    if (n_bytes > 0) std::memcpy(next, data, n_bytes);
    next += n_bytes;
  };
  append(&header, sizeof header);
  append(tokens.data(), tokens.size() * sizeof(int32_t));
  visit_positions(kv, tokens.size(), append);
  const uint64_t hash = hash_bytes(kHashStart, state.data(), static_cast<size_t>(next - state.data()));
  append(&hash, sizeof hash);
  return state;
}

void decode_state(Span<const uint8_t> state, uint64_t fingerprint, size_t n_token_ids, KvSequence& kv,
                  std::vector<int32_t>& tokens) {
  Header header;
  if (state.size() < sizeof header) throw std::invalid_argument("the saved state is truncated");
  std::memcpy(&header, state.data(), sizeof header);
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) throw std::invalid_argument("not a saved sequence");
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
  const size_t content_bytes = state.size() - sizeof(uint64_t);
  const uint64_t hash = hash_bytes(kHashStart, state.data(), content_bytes);
  if (std::memcmp(state.data() + content_bytes, &hash, sizeof hash) != 0) {
    throw std::invalid_argument("the saved state is damaged: its checksum does not match");
  }
  const uint8_t* next = state.data() + sizeof header;
  tokens.resize(header.n_tokens);
  if (!tokens.empty()) std::memcpy(tokens.data(), next, tokens.size() * sizeof(int32_t));
  next += tokens.size() * sizeof(int32_t);
  for (const int32_t id : tokens) {
    if (id < 0 || static_cast<size_t>(id) >= n_token_ids) throw std::invalid_argument("the saved state is damaged");
  }
  kv.reserve(0, tokens.size());
  visit_positions(kv, tokens.size(), [&next](uint8_t* memory, size_t n_bytes) {
    std::memcpy(memory, next, n_bytes);
    next += n_bytes;
  });
}

}  // namespace belle
