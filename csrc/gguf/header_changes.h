// A header of ours that does not match its checksum: damaged, or written anew by another program?
//
// Programs such as llama.cpp's quantizer and gguf-new-metadata copy our keys, checksums included, into files of their
// own. belle.entry_hashes tells what they changed: the bytes in front of it, for each metadata entry the hash of key
// and type, the length of the value and its hash, for each tensor the hashes of name and shape and of its whole line.
// Entries or tensors that come, go or change their length, and tensors of another type that lie end to end again, are a
// program's work: by accident that would make what follows unreadable. Without such, a change is damage, but for
// numbers of which more than one byte changed. Ids and switches of the tokenizer and the context length are one byte
// often, so another value that is possible counts as edited. Tensors that do not lie end to end are damage.
// docs/design/checksums.md states the rule and its limits.
#pragma once

#include <string>

namespace belle {

class GgufFile;

struct HeaderChanges {
  std::string damage;       // why it is damaged; empty where another program wrote it
  std::string description;  // what that program changed
  bool tensors = false;     // whether it wrote other tensors
};

/// For a file whose header does not match. covered: the checksums of the data section are as many as it has chunks.
HeaderChanges find_changes(const GgufFile& file, bool covered);

/// Whether a program took belle.checksum.header out: it is absent, and no key could be its damaged name.
bool header_checksum_was_removed(const GgufFile& file);

}  // namespace belle
