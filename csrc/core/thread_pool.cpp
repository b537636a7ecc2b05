#include "core/thread_pool.h"

#include <stdexcept>

#include "core/processors.h"

#ifdef _WIN32
#include <process.h>
#else
#include <unistd.h>
#endif

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace belle {
namespace {

constexpr int kSpins = 4000;  // some tens of microseconds: the gap between two layers' operations

long current_process_id() noexcept {
#ifdef _WIN32
  return _getpid();
#else
  return static_cast<long>(getpid());
#endif
}

void spin_pause() noexcept {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && !defined(_MSC_VER)
  asm volatile("yield");
#endif
}

}  // namespace

struct ThreadPool::Workers {
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<uint64_t> epoch{0};     // one more per job
  std::atomic<size_t> n_running{0};   // workers still at the current job
  std::atomic<bool> stopping{false};
  Job job = nullptr;
  const void* context = nullptr;
  size_t n_items = 0;

  void share(size_t index, size_t n_threads) const {
    const size_t begin = n_items * index / n_threads;
    const size_t end = n_items * (index + 1) / n_threads;
    if (begin < end) job(context, begin, end);
  }

  void loop(size_t index, size_t n_threads) {
    uint64_t seen = 0;
    for (;;) {
      for (int spin = 0; spin < kSpins && epoch.load(std::memory_order_acquire) == seen; ++spin) spin_pause();
      if (epoch.load(std::memory_order_acquire) == seen) {
        std::unique_lock<std::mutex> lock(mutex);
        wake.wait(lock, [&] { return epoch.load(std::memory_order_acquire) != seen; });
      }
      seen = epoch.load(std::memory_order_acquire);
      if (stopping.load(std::memory_order_relaxed)) return;
      share(index, n_threads);
      n_running.fetch_sub(1, std::memory_order_release);
    }
  }

  void start_epoch() {
    {
      const std::lock_guard<std::mutex> lock(mutex);  // a worker between its check and its wait must not miss this
      epoch.fetch_add(1, std::memory_order_release);
    }
    wake.notify_all();
  }
};

ThreadPool::ThreadPool(size_t n_threads)
    : n_threads_(n_threads > 0 ? n_threads : usable_processors()),
      process_id_(current_process_id()),
      workers_(new Workers) {
  for (size_t index = 1; index < n_threads_; ++index) {
    workers_->threads.emplace_back([this, index] { workers_->loop(index, n_threads_); });
  }
}

ThreadPool::~ThreadPool() {
  if (current_process_id() != process_id_) return;
  workers_->stopping.store(true);
  workers_->start_epoch();
  for (std::thread& thread : workers_->threads) thread.join();
  delete workers_;
}

void ThreadPool::require_same_process() const {
  if (current_process_id() != process_id_) {
    throw std::runtime_error(
        "this model was loaded before fork(), and its worker threads do not exist in the child process: "
        "load the model in the child, or start processes with the 'spawn' method");
  }
}

void ThreadPool::run(size_t n_items, Job job, const void* context) {
  if (n_threads_ == 1 || n_items == 1) {
    job(context, 0, n_items);
    return;
  }
  workers_->job = job;
  workers_->context = context;
  workers_->n_items = n_items;
  workers_->n_running.store(n_threads_ - 1, std::memory_order_relaxed);
  workers_->start_epoch();
  workers_->share(0, n_threads_);
  for (int spin = 0; workers_->n_running.load(std::memory_order_acquire) != 0; ++spin) {
    if (spin < kSpins) spin_pause();
    else std::this_thread::yield();
  }
}

}  // namespace belle
