// Fork-join workers. A job is cut into fixed chunks, smaller towards its end, and threads claim them: which thread
// computes a chunk never changes what is computed, and a worker that the system has put aside holds nobody up.
#pragma once

#include <cstddef>

#include "core/process.h"

namespace belle {

/// One caller at a time (the owner serializes). Workers spin briefly after each job, then park.
class ThreadPool {
 public:
  static constexpr size_t kMaxThreads = 1024;  // more is a mistake; 0 may still give as many as the machine has

  /// n_threads counts the calling thread; 0 = usable_processors().
  /// Throws std::invalid_argument for more than kMaxThreads, SystemError where the system starts no more.
  explicit ThreadPool(size_t n_threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  size_t size() const noexcept { return n_threads_; }

  /// Calls body(begin, end) on contiguous chunks that cover [0, n_items), some per thread, and waits for all.
  /// The body must not throw, nor call this of any pool: that ends the process with a message.
  /// Throws std::runtime_error in a process forked after construction.
  template <typename Body>
  void parallel_for(size_t n_items, const Body& body) {
    if (n_items == 0) return;
    require_same_process();
    run(
        n_items,
        [](const void* context, size_t begin, size_t end) { (*static_cast<const Body*>(context))(begin, end); }, &body);
  }

  /// Throws std::runtime_error when called in a child of fork(): worker threads do not exist there.
  void require_same_process() const { process_.require(); }

 private:
  using Job = void (*)(const void* context, size_t begin, size_t end);
  struct Workers;  // threads and their meeting point; leaked in a forked child, where joining would hang

  void run(size_t n_items, Job job, const void* context);

  size_t n_threads_;
  OwnProcess process_;
  Workers* workers_;
};

}  // namespace belle
