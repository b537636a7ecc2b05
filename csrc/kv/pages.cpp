#include "kv/pages.h"

#include <algorithm>
#include <cstring>

namespace belle {
namespace {

constexpr size_t kKeptPages = 512 / kPageTokens;  // for the next prompt: new memory is slow to touch the first time

}  // namespace

size_t KvPool::allocated_bytes() const {
  process_.require();  // before the lock, which a thread that fork() did not copy may hold for ever
  const std::lock_guard<std::mutex> lock(mutex_);
  return n_pages_ * shape_.page_bytes();
}

Buffer KvPool::take() {
  process_.require();
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
  if (!process_.is_current()) return;  // a child of fork() may drop its sequences, and it must be able to exit
  const std::lock_guard<std::mutex> lock(mutex_);
  free_.push_back(std::move(page));
  const size_t n_in_use = n_pages_ - free_.size();
  while (free_.size() > std::max(kKeptPages, n_in_use)) {
    free_.pop_back();
    --n_pages_;
  }
}

struct KvSequence::Page {
  explicit Page(std::shared_ptr<KvPool> owner) : pool(std::move(owner)), memory(pool->take()) {}
  ~Page() { pool->give_back(std::move(memory)); }
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;

  std::shared_ptr<KvPool> pool;
  Buffer memory;
};

void KvSequence::reserve(size_t first, size_t n) {
  const size_t n_pages = (first + n + kPageTokens - 1) / kPageTokens;
  for (size_t i = first / kPageTokens; i < pages_.size() && i < n_pages; ++i) {
    if (pages_[i].use_count() == 1) continue;
    auto copy = std::make_shared<Page>(pool_);
    std::memcpy(copy->memory.data(), pages_[i]->memory.data(), copy->memory.size());
    table_[i] = copy->memory.data();
    pages_[i] = std::move(copy);
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
