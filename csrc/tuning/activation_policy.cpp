#include "tuning/activation_policy.h"

#include <algorithm>
#include <cmath>

namespace belle {
namespace {

constexpr ActivationForm kFastestFirst[] = {ActivationForm::kSlab256, ActivationForm::kBf16, ActivationForm::kBlock32};

// Of a prompt's products, as shares of slab256's (docs/measurements/kernels.md). Where there are tiles, block32 lacks
// them.
double time_of(const FormErrors& errors, ActivationForm form) noexcept {
  if (form == ActivationForm::kSlab256) return 1.0;
  if (form == ActivationForm::kBf16) return 2.0;
  const bool has_tiles = !std::isnan(errors.forms[static_cast<size_t>(ActivationForm::kBf16)]);
  return has_tiles ? 4.0 : 1.25;
}

double square(double x) noexcept { return x * x; }

// NaN where the tier lacks the form.
double error_of(const ActivationChoice& choice, ActivationForm form) noexcept {
  return choice.errors.forms[static_cast<size_t>(form)];
}

// What a form adds to the error of the hidden state; NaN where the tier lacks it. What it saves makes up for nothing:
// measured, such savings are worth less than the sums say.
double added_by(const ActivationChoice& choice, ActivationForm form) noexcept {
  const double more = choice.influence * (square(error_of(choice, form)) - square(choice.errors.yardstick));
  return more < 0.0 ? 0.0 : more;
}

// A form's (e^2 - b^2) / (w^2 + b^2). In a file of several types a finer matrix adds to what the others have cost.
class Excess {
 public:
  explicit Excess(const std::vector<ActivationChoice>& matrices) noexcept {
    for (const ActivationChoice& choice : matrices) {
      mean_square_ += square(choice.errors.weights) / static_cast<double>(matrices.size());
    }
  }

  double of(const ActivationChoice& choice, ActivationForm form) const noexcept {
    const double other = square(choice.errors.yardstick);
    return (square(error_of(choice, form)) - other) / (std::max(square(choice.errors.weights), mean_square_) + other);
  }

  double of(const ActivationChoice& choice) const noexcept { return std::max(0.0, of(choice, choice.form)); }

  // The fastest form with at most this excess; block32 is never coarser than the yardstick.
  ActivationForm fastest_within(const ActivationChoice& choice, double excess) const noexcept {
    for (const ActivationForm form : kFastestFirst) {
      if (of(choice, form) <= excess) return form;  // false for NaN
    }
    return ActivationForm::kBlock32;
  }

 private:
  double mean_square_ = 0.0;
};

// A matrix and a slower form that it might take.
struct Upgrade {
  ActivationChoice* choice = nullptr;
  ActivationForm form = ActivationForm::kBlock32;
  double gain = 0.0;  // what it adds less
  double time = 0.0;  // in products with one weight

  bool better_than(const Upgrade& other) const noexcept {
    return other.choice == nullptr || gain * other.time > other.gain * time;
  }
};

// The one that gains most for its time, of those that take no more than `spare`.
Upgrade best_upgrade(std::vector<ActivationChoice>& matrices, double spare) noexcept {
  Upgrade best;
  for (ActivationChoice& choice : matrices) {
    for (const ActivationForm form : kFastestFirst) {
      const double slower = time_of(choice.errors, form) - time_of(choice.errors, choice.form);
      const Upgrade upgrade = {&choice, form, added_by(choice, choice.form) - added_by(choice, form),
                               slower * static_cast<double>(choice.n_weights)};
      const bool possible = upgrade.gain > 0.0 && upgrade.time > 0.0 && upgrade.time <= spare;  // false for NaN
      if (possible && upgrade.better_than(best)) best = upgrade;
    }
  }
  return best;
}

void spend_spare_time(std::vector<ActivationChoice>& matrices) {
  double added = 0.0, allowed = 0.0, spare = 0.0;
  for (const ActivationChoice& choice : matrices) {
    added += added_by(choice, choice.form);
    allowed += kAddedError * choice.influence * square(choice.errors.yardstick);
    spare += kSpareTime * time_of(choice.errors, choice.form) * static_cast<double>(choice.n_weights);
  }
  while (added > allowed) {
    const Upgrade upgrade = best_upgrade(matrices, spare);
    if (upgrade.choice == nullptr) break;
    upgrade.choice->form = upgrade.form;
    added -= upgrade.gain;
    spare -= upgrade.time;
  }
}

}  // namespace

void choose_forms(std::vector<ActivationChoice>& matrices) {
  const Excess excess(matrices);
  double total = 0.0;
  for (ActivationChoice& choice : matrices) {
    choice.form = excess.fastest_within(choice, kLargestExcess);
    total += excess.of(choice);
  }
  while (total > kMeanExcess * static_cast<double>(matrices.size())) {
    const auto better = [&](const ActivationChoice& a, const ActivationChoice& b) {
      return excess.of(a) < excess.of(b);
    };
    ActivationChoice& worst = *std::max_element(matrices.begin(), matrices.end(), better);
    if (excess.of(worst) == 0.0) break;
    total -= excess.of(worst);
    worst.form = excess.fastest_within(worst, 0.0);
  }
  spend_spare_time(matrices);
  for (ActivationChoice& choice : matrices) {
    if (choice.form != ActivationForm::kSlab256) choice.outliers.clear();
  }
}

ActivationForms forms_from(const std::vector<ActivationChoice>& choices) {
  ActivationForms forms;
  for (const ActivationChoice& choice : choices) {
    if (forms.matrices.size() <= choice.index) forms.matrices.resize(choice.index + 1);
    forms.matrices[choice.index] = {choice.form, choice.outliers};
  }
  return forms;
}

}  // namespace belle
