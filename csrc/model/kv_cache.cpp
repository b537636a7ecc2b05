#include "model/kv_cache.h"

#include <cstring>

namespace belle {

size_t KvPool::allocated_bytes() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return n_pages_ * shape_.page_bytes();
}

Buffer KvPool::take() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (free_.empty()) {
    Buffer page(shape_.page_bytes());
    free_.reserve(n_pages_ + 1);  // so that give_back never has to allocate
    ++n_pages_;
    return page;
  }
  Buffer page = std::move(free_.back());
  free_.pop_back();
  return page;
}

void KvPool::give_back(Buffer page) noexcept {
  const std::lock_guard<std::mutex> lock(mutex_);
  free_.push_back(std::move(page));
}

struct KvSequence::Page {
  explicit Page(std::shared_ptr<KvPool> owner) : pool(std::move(owner)), memory(pool->take()) {}
  ~Page() { pool->give_back(std::move(memory)); }
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;

  std::shared_ptr<KvPool> pool;
  Buffer memory;
};

void KvSequence::reserve(size_t length, size_t n_new) {
  const size_t n_pages = (length + n_new + kPageTokens - 1) / kPageTokens;
  const size_t first_written = length / kPageTokens;
  if (first_written < pages_.size() && pages_[first_written].use_count() > 1) {
    auto copy = std::make_shared<Page>(pool_);
    std::memcpy(copy->memory.data(), pages_[first_written]->memory.data(), copy->memory.size());
    table_[first_written] = copy->memory.data();
    pages_[first_written] = std::move(copy);
  }
  while (pages_.size() < n_pages) {
    auto page = std::make_shared<Page>(pool_);
    table_.reserve(pages_.size() + 1);
    pages_.push_back(std::move(page));
    table_.push_back(pages_.back()->memory.data());
  }
}

void KvSequence::truncate(size_t length) {
  const size_t n_pages = (length + kPageTokens - 1) / kPageTokens;
  if (n_pages < pages_.size()) {
    pages_.resize(n_pages);
    table_.resize(n_pages);
  }
}

}  // namespace belle
