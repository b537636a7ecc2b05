#include "gguf/header_changes.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/load.h"
#include "core/xxh64.h"
#include "gguf/header_checksums.h"
#include "gguf/reader.h"

namespace belle {
namespace {

constexpr uint64_t kTypeAndOffset = 4 + 8;  // bytes at the end of a tensor's line
constexpr size_t kNamedKeys = 4;            // in a description

using Bytes = Span<const uint8_t>;

// What belle.entry_hashes says of one entry.
struct WrittenEntry {
  uint64_t key_hash, value_bytes, value_hash;
};

struct Written {
  std::vector<WrittenEntry> entries;
  uint64_t n_bytes;             // in front of belle.entry_hashes
  std::vector<uint64_t> names;  // of each line of the list of tensors: name and shape
  std::vector<uint64_t> lines;  // the whole line
};

uint64_t number_at(const uint8_t* numbers, uint64_t index) { return load<uint64_t>(numbers + index * 8); }

// The layout: the number of entries, the bytes in front of this entry, three numbers for each entry, two for each
// tensor, the hash of all before it. Nothing where that hash does not match.
std::optional<Written> read_written(const MetadataValue& value) {
  if (!value.is_array || value.type != MetadataType::kUint64 || value.count < 3) return std::nullopt;
  const uint64_t n = value.count - 1, n_entries = number_at(value.payload, 0);
  if (xxh64({value.payload, static_cast<size_t>(n * 8)}) != number_at(value.payload, n)) return std::nullopt;
  if (n_entries > (n - 2) / 3) return std::nullopt;
  Written written;
  written.n_bytes = number_at(value.payload, 1);
  for (uint64_t i = 0; i < n_entries; ++i) {
    const uint64_t at = 2 + 3 * i;
    written.entries.push_back(
        {number_at(value.payload, at), number_at(value.payload, at + 1), number_at(value.payload, at + 2)});
  }
  for (uint64_t i = 2 + 3 * n_entries; i + 1 < n; i += 2) {
    written.names.push_back(number_at(value.payload, i));
    written.lines.push_back(number_at(value.payload, i + 1));
  }
  return written;
}

bool is_own_key(const std::string& key) {
  return key == kEntryHashesKey ||
         std::find(std::begin(kChecksumKeys), std::end(kChecksumKeys), key) != std::end(kChecksumKeys);
}

// Whether one byte of `bytes` in another value gives the hash.
bool one_byte_explains(Bytes bytes, uint64_t hash) {
  std::vector<uint8_t> tried(bytes.begin(), bytes.end());
  for (uint8_t& byte : tried) {
    const uint8_t own = byte;
    for (int other = 0; other < 256; ++other) {
      byte = static_cast<uint8_t>(other);
      if (byte != own && xxh64({tried.data(), tried.size()}) == hash) return true;
    }
    byte = own;
  }
  return false;
}

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

// A value that people set in a finished file, as it can be: an id in the vocabulary, a switch, a context length.
bool is_usual_edit(const GgufFile& file, const std::string& key, const MetadataValue& value) {
  if (value.is_array) return false;
  const bool of_tokenizer = key.compare(0, 15, "tokenizer.ggml.") == 0;
  if (value.type == MetadataType::kBool) return of_tokenizer && *value.payload <= 1;
  if (value.type != MetadataType::kUint32) return false;
  const uint32_t number = load<uint32_t>(value.payload);
  if (ends_with(key, ".context_length")) return number > 0 && number % 128 == 0 && number <= (1u << 24);
  const MetadataValue* tokens = file.find("tokenizer.ggml.tokens");
  return of_tokenizer && ends_with(key, "_token_id") && tokens != nullptr && number < tokens->count;
}

// Tensors one after another, each padded to the alignment, and nothing behind the last.
bool lie_end_to_end(const GgufFile& file) {
  const auto padded = [&](uint64_t n) { return (n + file.alignment() - 1) / file.alignment() * file.alignment(); };
  uint64_t next = file.data_offset(), end = next;
  for (const GgufTensor& tensor : file.tensors()) {
    if (tensor.offset_bytes != next) return false;
    end = tensor.offset_bytes + tensor.n_bytes;
    next += padded(tensor.n_bytes);
  }
  const uint64_t size = file.mapping().size();
  return size == next || size == end;
}

std::string quoted(const std::vector<std::string>& keys) {
  std::string text;
  for (size_t i = 0; i < keys.size() && i < kNamedKeys; ++i) text += (i > 0 ? ", '" : "'") + keys[i] + "'";
  if (keys.size() > kNamedKeys) text += " and " + std::to_string(keys.size() - kNamedKeys) + " more";
  return text;
}

class Comparison {
 public:
  Comparison(const GgufFile& file, const Written& written) : file_(file), written_(written) {}

  HeaderChanges run() {
    compare_entries();
    compare_lines();
    std::string damage;
    if (!lie_end_to_end(file_)) damage = "and its tensors do not lie end to end";
    else if (!restructured_ && !is_reordered()) damage = suspicion_;  // what no accident does explains the rest, too
    if (damage.empty() && changed_.empty() && !restructured_ && !is_reordered()) {
      damage = "though all metadata and tensors are as written";
    }
    return {damage, describe(), tensors_};
  }

 private:
  Bytes bytes(uint64_t begin, uint64_t end) const {
    return {file_.mapping().data() + begin, static_cast<size_t>(end - begin)};
  }

  void compare_entries() {
    std::unordered_map<uint64_t, size_t> by_key;
    for (size_t i = 0; i < written_.entries.size(); ++i) by_key.emplace(written_.entries[i].key_hash, i);
    std::vector<bool> found(written_.entries.size());
    for (size_t i = 0; i < file_.keys().size(); ++i) {
      if (is_own_key(file_.keys()[i])) continue;
      const EntryPlace& place = file_.entry_places()[i];
      const auto at = by_key.find(xxh64(bytes(place.all.begin, place.value)));
      if (at == by_key.end()) {
        added_.push_back(file_.keys()[i]);
        continue;
      }
      found[at->second] = true;
      order_.push_back(at->second);
      compare_value(i, written_.entries[at->second]);
    }
    n_removed_ = static_cast<size_t>(std::count(found.begin(), found.end(), false));
    if (n_removed_ != added_.size() || begin_of_hashes() != written_.n_bytes) restructured_ = true;
    else if (!added_.empty()) suspicion_ = "by the name of metadata '" + added_[0] + "'";
  }

  void compare_value(size_t index, const WrittenEntry& written) {
    const EntryPlace& place = file_.entry_places()[index];
    const Bytes value = bytes(place.value, place.all.end);
    if (xxh64(value) == written.value_hash) return;
    const std::string& key = file_.keys()[index];
    changed_.push_back(key);
    if (value.size() != written.value_bytes) {
      restructured_ = true;
    } else if (is_usual_edit(file_, key, *file_.find(key))) {
      return;
    } else if (metadata_type_bytes(file_.find(key)->type) == 0 || file_.find(key)->is_array) {
      suspicion_ = "by some bytes of metadata '" + key + "', which has its length still";
    } else if (one_byte_explains(value, written.value_hash)) {
      suspicion_ = "by one byte of metadata '" + key + "'";
    }
  }

  uint64_t begin_of_hashes() const {
    const auto at = std::find(file_.keys().begin(), file_.keys().end(), kEntryHashesKey);
    return file_.entry_places()[static_cast<size_t>(at - file_.keys().begin())].all.begin;
  }

  void compare_lines() {
    const std::vector<GgufTensor>& tensors = file_.tensors();
    const std::unordered_set<uint64_t> names(written_.names.begin(), written_.names.end());
    for (size_t i = 0; i < tensors.size(); ++i) {
      const Extent& line = tensors[i].line;
      const uint64_t hash = xxh64(bytes(line.begin, line.end));
      if (i < written_.lines.size() && hash == written_.lines[i]) continue;
      tensors_ = true;
      // Another type or place, and still end to end; a name or a shape that was never there may be damage.
      if (names.count(xxh64(bytes(line.begin, line.end - kTypeAndOffset))) != 0) restructured_ = true;
      else suspicion_ = "by the line of tensor '" + tensors[i].name + "'";
    }
    if (tensors.size() != written_.lines.size()) tensors_ = restructured_ = true;
  }

  // Entries in another order, or behind the checksums, which the converter writes last.
  bool is_reordered() const {
    return !std::is_sorted(order_.begin(), order_.end()) || file_.keys().empty() ||
           file_.keys().back() != kChecksumHeaderKey;
  }

  std::string describe() const {
    std::string text;
    const auto add = [&text](const std::string& part) { text += (text.empty() ? "" : "; ") + part; };
    if (tensors_) add("other tensors");
    if (!changed_.empty()) add("changed metadata " + quoted(changed_));
    if (!added_.empty()) add("new metadata " + quoted(added_));
    if (n_removed_ > 0) add(std::to_string(n_removed_) + " metadata entries removed");
    return text.empty() ? "metadata in another order" : text;
  }

  const GgufFile& file_;
  const Written& written_;
  std::string suspicion_;      // what looks like damage, if nothing else changed the file
  bool restructured_ = false;  // entries or tensors come, go or change their length: no accident does that
  std::vector<std::string> changed_, added_;
  std::vector<size_t> order_;  // places at which the converter wrote the entries that are still there
  size_t n_removed_ = 0;
  bool tensors_ = false;
};

// A file from before belle.entry_hashes, or one that lost them: only the shape of the file can tell.
HeaderChanges find_changes_by_shape(const GgufFile& file, bool covered) {
  if (!lie_end_to_end(file)) return {"and its tensors do not lie end to end", "", false};
  const std::vector<std::string>& keys = file.keys();
  const size_t n = std::size(kChecksumKeys);
  const bool are_last =
      keys.size() >= n && std::equal(std::begin(kChecksumKeys), std::end(kChecksumKeys), keys.end() - n);
  if (are_last && covered) return {"which nothing explains", "", false};
  return {"", covered ? "metadata in another order" : "other tensors", true};
}

}  // namespace

HeaderChanges find_changes(const GgufFile& file, bool covered) {
  const MetadataValue* hashes = file.find(kEntryHashesKey);
  if (hashes == nullptr) return find_changes_by_shape(file, covered);
  const std::optional<Written> written = read_written(*hashes);
  if (!written) return {"and metadata 'belle.entry_hashes' is damaged itself", "", false};
  return Comparison(file, *written).run();
}

bool header_checksum_was_removed(const GgufFile& file) {
  const MetadataValue* hashes = file.find(kEntryHashesKey);
  if (hashes == nullptr || !read_written(*hashes)) return false;
  const std::string name = kChecksumHeaderKey;
  return std::none_of(file.keys().begin(), file.keys().end(), [&](const std::string& key) {
    if (key.size() != name.size()) return false;
    size_t n_different = 0;
    for (size_t i = 0; i < name.size(); ++i) n_different += key[i] != name[i];
    return n_different <= 1;
  });
}

}  // namespace belle
