// Writing to the cache: the keys and values of new rows, and positions that move.
#pragma once

#include "core/profile.h"
#include "core/thread_pool.h"
#include "kv/pass_rows.h"
#include "kv/shape.h"

namespace belle {

/// Writes with the conversions of a tier, split over threads; the time is reported to `profile` unless it is null.
struct KvWriter {
  const KernelTable& kernels;
  ThreadPool& pool;
  Profile* profile;

  /// Writes each row's keys and values at its position. Throws UnsupportedModelError for a number that an f16
  /// cache cannot hold.
  void store(const KvShape& kv, size_t layer, Span<const KvRow> rows, HeadRows keys, HeadRows values) const;

  /// Copies the keys and values of one sequence's positions [first, last) down by `distance` positions, in every layer.
  void move_down(const KvShape& kv, uint8_t* const* pages, size_t first, size_t last, size_t distance) const;
};

}  // namespace belle
