// What every operation needs: the kernels of the active tier and the threads to run them on.
#pragma once

#include "core/thread_pool.h"
#include "kernels/table.h"

namespace belle {

struct OpsContext {
  const KernelTable& kernels;
  ThreadPool& pool;
};

}  // namespace belle
