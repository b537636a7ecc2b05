// Which forms of activations a loaded model takes in prefill: those asked for, or those that a short pass over its real
// weights speaks for.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kv/pages.h"
#include "model/decoder.h"
#include "tuning/activation_policy.h"

namespace belle {

struct Calibration {
  ActivationForms forms;
  std::vector<ActivationChoice> choices;  // of each measured matrix, in the order of the image; empty without a pass
};

/// wanted: the name of a form for every matrix, or "auto": BELLE_ACTIVATIONS if set, else a calibration pass where the
/// tier has more than one form for a matrix. `context` is the decoder's, with its forms as they are by default.
/// Throws std::invalid_argument for a form that the tier lacks.
Calibration calibrate(const std::string& wanted, Decoder& decoder, const OpsContext& context,
                      const std::shared_ptr<KvPool>& pages);

}  // namespace belle
