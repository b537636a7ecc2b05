// What every operation needs: the kernels of the active tier, the threads to run them on, how linear layers take their
// input in prefill, how far ahead they read weights in decoding, and who asks for the time.
#pragma once

#include "core/profile.h"
#include "core/thread_pool.h"
#include "kernels/table.h"
#include "kv/store.h"

namespace belle {

class ActivationPolicy;

/// How far in front of what they multiply the kernels for few tokens ask for weights, in bytes.
struct ReadAhead {
  size_t one_token = 32 * 288;
  size_t several_tokens = 32 * 288;
  bool measured = false;  // by measure_read_ahead(); else these are the defaults

  size_t for_tokens(size_t n_tokens) const noexcept { return n_tokens == 1 ? one_token : several_tokens; }
};

struct OpsContext {
  const KernelTable& kernels;
  ThreadPool& pool;
  ActivationPolicy* policy = nullptr;  // null: block 32 everywhere
  Profile* profile = nullptr;          // where operations report their time; null = nowhere
  ReadAhead read_ahead = {};

  KvWriter kv_writer() const noexcept { return {kernels, pool, profile}; }
};

}  // namespace belle
