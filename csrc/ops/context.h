// What every operation needs: the kernels of the active tier, the threads to run them on, how linear layers take their
// input in prefill, and who asks for the time.
#pragma once

#include "core/profile.h"
#include "core/thread_pool.h"
#include "kernels/table.h"

namespace belle {

class ActivationPolicy;

struct OpsContext {
  const KernelTable& kernels;
  ThreadPool& pool;
  ActivationPolicy* policy = nullptr;  // null: block 32 everywhere
  Profile* profile = nullptr;          // where operations report their time; null = nowhere
};

}  // namespace belle
