// What every operation needs: the kernels of the active tier, the threads to run them on, and who asks for the time.
#pragma once

#include "core/profile.h"
#include "core/thread_pool.h"
#include "kernels/table.h"

namespace belle {

struct OpsContext {
  const KernelTable& kernels;
  ThreadPool& pool;
  Profile* profile = nullptr;  // where operations report their time; null = nowhere
};

}  // namespace belle
