// Paged KV storage: pages are shared between forked sequences until one of them writes.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "core/memory.h"
#include "core/process.h"
#include "kv/shape.h"

namespace belle {

/// Hands out pages and takes them back for reuse: as many as are in use, or those of a prompt of 512 tokens if that is
/// more. The others go back to the system.
/// Safe from any thread. In a child of fork() pages go back to the system, and asking for one is an error.
class KvPool {
 public:
  explicit KvPool(const KvShape& shape) : shape_(shape) {}

  const KvShape& shape() const noexcept { return shape_; }
  /// Bytes of all pages, in use or kept for reuse. Throws std::runtime_error after fork().
  size_t allocated_bytes() const;

  /// Throws OutOfMemory, std::runtime_error after fork().
  Buffer take();
  void give_back(Buffer page) noexcept;

 private:
  KvShape shape_;
  OwnProcess process_;
  mutable std::mutex mutex_;
  std::vector<Buffer> free_;
  size_t n_pages_ = 0;  // in use or free
};

/// The page table of one sequence. Not synchronized: the engine serializes access.
class KvSequence {
 public:
  explicit KvSequence(std::shared_ptr<KvPool> pool) : pool_(std::move(pool)) {}

  /// Makes positions [first, first + n) writable: adds pages, and copies shared ones that would be written.
  void reserve(size_t first, size_t n);
  /// Releases pages that hold no position below `length`.
  void truncate(size_t length);
  /// Another table over the same pages.
  KvSequence fork() const { return *this; }

  uint8_t* const* page_table() const noexcept { return table_.data(); }
  const KvShape& shape() const noexcept { return pool_->shape(); }

 private:
  struct Page;

  std::shared_ptr<KvPool> pool_;
  std::vector<std::shared_ptr<Page>> pages_;
  std::vector<uint8_t*> table_;  // pages_[i]'s memory
};

}  // namespace belle
