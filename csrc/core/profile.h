// Where the time of a pass goes. Operations name themselves with a timer in their scope; the time of a nested one is
// its own and not its parent's, so the times of all operations add up to the time of the pass.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace belle {

enum class Operation : uint8_t {
  kEmbedding,
  kNorm,
  kAttentionQkv,
  kRope,
  kKvStore,
  kAttention,
  kAttentionOutput,
  kFeedForwardGateUp,
  kFeedForwardDown,
  kActivation,
  kResidual,
  kQuantize,
  kHead,
  kSampling,
  kOther,  // inside a pass, outside of all of these
};
constexpr size_t kOperationCount = 15;

constexpr std::array<const char*, kOperationCount> kOperationNames = {
    "embedding", "norm",       "attn_qkv", "rope",     "kv_store", "attention", "attn_output", "ffn_gate_up",
    "ffn_down",  "activation", "residual", "quantize", "head",     "sampling",  "other"};

/// Times by operation. Used by the one thread that runs the pass.
class Profile {
 public:
  struct Entry {
    double seconds = 0;
    uint64_t calls = 0;
  };

  const std::array<Entry, kOperationCount>& entries() const noexcept { return entries_; }
  void clear() noexcept { entries_ = {}; }

 private:
  friend class OperationTimer;
  using Clock = std::chrono::steady_clock;
  static constexpr size_t kNone = kOperationCount;

  // The time since the last change belongs to what was running until now. Returns that.
  size_t change_to(size_t operation) noexcept {
    const Clock::time_point now = Clock::now();
    if (running_ != kNone) entries_[running_].seconds += std::chrono::duration<double>(now - since_).count();
    since_ = now;
    const size_t previous = running_;
    running_ = operation;
    return previous;
  }

  std::array<Entry, kOperationCount> entries_{};
  size_t running_ = kNone;
  Clock::time_point since_{};
};

/// Charges the time of its scope to an operation; does nothing where `profile` is null.
class OperationTimer {
 public:
  OperationTimer(Profile* profile, Operation operation) noexcept : profile_(profile) {
    if (profile_ == nullptr) return;
    previous_ = profile_->change_to(static_cast<size_t>(operation));
    ++profile_->entries_[static_cast<size_t>(operation)].calls;
  }
  ~OperationTimer() {
    if (profile_ != nullptr) profile_->change_to(previous_);
  }
  OperationTimer(const OperationTimer&) = delete;
  OperationTimer& operator=(const OperationTimer&) = delete;

 private:
  Profile* profile_;
  size_t previous_ = Profile::kNone;
};

}  // namespace belle
