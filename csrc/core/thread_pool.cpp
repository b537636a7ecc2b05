#include "core/thread_pool.h"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/processors.h"

#ifdef _MSC_VER
#include <intrin.h>
#endif

namespace belle {
namespace {

constexpr int kSpins = 4000;  // some tens of microseconds: the gap between two layers' operations

// A thread's work, in sixteenths: half of it at once, then ever smaller chunks. Few starts, and little to wait for at
// the end.
constexpr size_t kShares[] = {8, 4, 2, 1, 1};
constexpr size_t kChunksPerThread = sizeof kShares / sizeof kShares[0], kWholeShare = 16;

// The first item of a chunk. Chunks are claimed in order: one of the first share for each thread, one of the second,
// ...
size_t start_of(size_t chunk, size_t n_threads, size_t n_items) noexcept {
  size_t sixteenths = 0;
  for (const size_t share : kShares) {
    const size_t n = chunk < n_threads ? chunk : n_threads;
    sixteenths += n * share;
    chunk -= n;
  }
  return n_items * sixteenths / (kWholeShare * n_threads);
}

size_t checked_count(size_t n_threads) {
  if (n_threads > ThreadPool::kMaxThreads) {
    throw std::invalid_argument("threads: expected at most " + std::to_string(ThreadPool::kMaxThreads) + ", got " +
                                std::to_string(n_threads));
  }
  return n_threads > 0 ? n_threads : usable_processors();
}

// Whether this thread is inside a body: a job started there would wait for itself.
class InsideBody {
 public:
  InsideBody() noexcept { inside_ = true; }
  ~InsideBody() { inside_ = false; }
  InsideBody(const InsideBody&) = delete;
  InsideBody& operator=(const InsideBody&) = delete;

  // No exception: those of several threads would end the process in the middle of each other's messages.
  static void refuse() noexcept {
    if (!inside_) return;
    std::fputs("belle_edge: parallel_for was called inside the body of another parallel_for\n", stderr);
    std::abort();
  }

 private:
  static thread_local bool inside_;
};
thread_local bool InsideBody::inside_ = false;

void spin_pause() noexcept {
#if defined(_MSC_VER) && defined(_M_X64)
  _mm_pause();
#elif defined(_MSC_VER) && defined(_M_ARM64)
  __yield();
#elif defined(__x86_64__)
  asm volatile("pause");
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

// A ticket is one 64-bit number: the job's epoch above, the next unclaimed chunk below. Whoever moves it from (e, i) to
// (e, i + 1) owns chunk i of job e, and job e cannot end before that chunk is done, so its fields are safe to read.
struct ThreadPool::Workers {
  explicit Workers(size_t n) : n_threads(n), n_chunks(n * kChunksPerThread) {}

  const size_t n_threads, n_chunks;
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::condition_variable wake;
  std::atomic<uint64_t> ticket{0};
  std::atomic<size_t> n_parked{0};
  std::atomic<size_t> n_done{0};  // chunks of the current job
  std::atomic<bool> stopping{false};
  Job job = nullptr;
  const void* context = nullptr;
  size_t n_items = 0;

  static uint64_t epoch_of(uint64_t value) noexcept { return value >> 32; }
  static uint64_t chunk_of(uint64_t value) noexcept { return value & 0xffffffffu; }

  static void run_body(Job job, const void* context, size_t begin, size_t end) {
    const InsideBody inside;
    job(context, begin, end);
  }

  // Runs chunks of the current job until none is left to claim; returns the epoch that was then current.
  uint64_t work() noexcept {
    uint64_t current = ticket.load(std::memory_order_acquire);
    while (chunk_of(current) < n_chunks) {
      if (!ticket.compare_exchange_weak(current, current + 1, std::memory_order_acq_rel)) continue;
      const size_t chunk = static_cast<size_t>(chunk_of(current));
      const size_t begin = start_of(chunk, n_threads, n_items), end = start_of(chunk + 1, n_threads, n_items);
      if (begin < end) run_body(job, context, begin, end);
      n_done.fetch_add(1, std::memory_order_release);
      current = ticket.load(std::memory_order_acquire);
    }
    return epoch_of(current);
  }

  bool nothing_new(uint64_t epoch) const noexcept { return epoch_of(ticket.load(std::memory_order_seq_cst)) == epoch; }

  void loop() {
    uint64_t epoch = 0;  // as work() left it: a job that starts right after must not be taken for an old one
    // After work(), too: a worker that was put aside there may return with the epoch that stop() began, the last one.
    while (!stopping.load(std::memory_order_acquire)) {
      for (int spin = 0; spin < kSpins && nothing_new(epoch); ++spin) spin_pause();
      if (nothing_new(epoch)) park(epoch);
      epoch = work();
    }
  }

  void park(uint64_t epoch) {
    std::unique_lock<std::mutex> lock(mutex);
    n_parked.fetch_add(1, std::memory_order_seq_cst);
    wake.wait(lock, [&] { return !nothing_new(epoch); });
    n_parked.fetch_sub(1, std::memory_order_seq_cst);
  }

  // A worker counts itself as parked before it looks at the ticket for the last time, and the ticket moves before the
  // count is read: one of the two sees the other.
  void start_epoch(size_t first_chunk) {
    const uint64_t epoch = epoch_of(ticket.load(std::memory_order_relaxed)) + 1;
    ticket.store((epoch << 32) | first_chunk, std::memory_order_seq_cst);
    if (n_parked.load(std::memory_order_seq_cst) == 0) return;
    { const std::lock_guard<std::mutex> lock(mutex); }
    wake.notify_all();
  }

  void stop() {
    stopping.store(true, std::memory_order_release);
    start_epoch(n_chunks);  // an epoch without chunks
    for (std::thread& thread : threads) thread.join();
  }
};

ThreadPool::ThreadPool(size_t n_threads) : n_threads_(checked_count(n_threads)), workers_(new Workers(n_threads_)) {
  try {
    for (size_t index = 1; index < n_threads_; ++index) {
      workers_->threads.emplace_back([workers = workers_] { workers->loop(); });
    }
  } catch (const std::exception& error) {  // the system's limit on threads: leave none behind
    workers_->stop();
    delete workers_;
    const auto* refused = dynamic_cast<const std::system_error*>(&error);
    if (refused == nullptr) throw;
    throw SystemError(refused->code().value(), "cannot start " + std::to_string(n_threads_) + " threads (" +
                                                   refused->what() + "): give fewer threads");
  }
}

ThreadPool::~ThreadPool() {
  if (!process_.is_current()) return;
  workers_->stop();
  delete workers_;
}

void ThreadPool::run(size_t n_items, Job job, const void* context) {
  InsideBody::refuse();
  if (n_threads_ == 1 || n_items == 1) return Workers::run_body(job, context, 0, n_items);
  workers_->job = job;
  workers_->context = context;
  workers_->n_items = n_items;
  workers_->n_done.store(0, std::memory_order_relaxed);
  workers_->start_epoch(0);
  workers_->work();
  for (int spin = 0; workers_->n_done.load(std::memory_order_acquire) != workers_->n_chunks; ++spin) {
    if (spin < kSpins) spin_pause();
    else std::this_thread::yield();
  }
}

}  // namespace belle
