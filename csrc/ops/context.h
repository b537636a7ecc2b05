// What every operation needs: the kernels of the active tier, the threads to run them on, what was decided about linear
// layers when the model was loaded, and who asks for the time.
#pragma once

#include "core/profile.h"
#include "core/thread_pool.h"
#include "kernels/table.h"
#include "kv/store.h"
#include "ops/activation_forms.h"

namespace belle {

/// What the rows of a pass are: a prompt's, which take the forms in OpsContext::forms, however few they are; or an
/// answer's, whose tokens came one by one and which always take block32.
enum class Phase : uint8_t { kPrefill, kDecode };

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
  ActivationForms forms = {};
  ReadAhead read_ahead = {};
  Phase phase = Phase::kPrefill;  // of the pass that runs
  Profile* profile = nullptr;     // where operations report their time; null = nowhere

  KvWriter kv_writer() const noexcept { return {kernels, pool, profile}; }
};

}  // namespace belle
