// What every operation needs: the kernels of the active tier, the threads to run them on, and how linear layers take
// their input in prefill.
#pragma once

#include "core/thread_pool.h"
#include "kernels/table.h"

namespace belle {

class ActivationPolicy;

struct OpsContext {
  const KernelTable& kernels;
  ThreadPool& pool;
  ActivationPolicy* policy = nullptr;  // null: block 32 everywhere
};

}  // namespace belle
