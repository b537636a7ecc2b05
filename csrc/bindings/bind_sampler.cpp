// Sampler: validated options in, token ids out.
#include "sampling/sampler.h"

#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bindings/bindings.h"
#include "kernels/registry.h"

namespace belle {
namespace {

void require(bool condition, const char* message, double got) {
  if (!condition) throw py::value_error(std::string(message) + ", got " + std::to_string(got));
}

Sampler make_sampler(float temperature, int32_t top_k, float top_p, float min_p, float repetition_penalty,
                     float presence_penalty, float frequency_penalty, uint64_t seed,
                     const std::map<int32_t, float>& logit_bias, const std::vector<int32_t>& banned) {
  require(temperature == 0.0f || (std::isnormal(temperature) && temperature > 0.0f),
          "temperature: expected 0 or a number from 1.2e-38 to 3.4e38", temperature);
  require(top_k >= 0, "top_k: expected an integer >= 0 (0 = off)", top_k);
  require(top_p > 0.0f && top_p <= 1.0f, "top_p: expected 0 < top_p <= 1", top_p);
  require(min_p >= 0.0f && min_p <= 1.0f, "min_p: expected 0 <= min_p <= 1", min_p);
  require(repetition_penalty > 0.0f && std::isfinite(repetition_penalty), "repetition_penalty: expected a number > 0",
          repetition_penalty);
  require(std::isfinite(presence_penalty), "presence_penalty: expected a finite number", presence_penalty);
  require(std::isfinite(frequency_penalty), "frequency_penalty: expected a finite number", frequency_penalty);
  for (const auto& [id, bias] : logit_bias) {
    require(bias < std::numeric_limits<float>::infinity(), "logit_bias: expected finite numbers, or -inf for a ban",
            bias);
  }
  SamplingOptions options;
  options.temperature = temperature;
  options.top_k = top_k;
  options.top_p = top_p;
  options.min_p = min_p;
  options.repetition_penalty = repetition_penalty;
  options.presence_penalty = presence_penalty;
  options.frequency_penalty = frequency_penalty;
  options.seed = seed;
  options.logit_bias.assign(logit_bias.begin(), logit_bias.end());
  options.banned = banned;
  return Sampler(std::move(options), kernels_for(""));
}

SampledToken choose_from(const py::handle& row, Sampler& sampler, int n_top) {
  const auto logits = py::array_t<float, py::array::c_style | py::array::forcecast>::ensure(row);
  if (!logits || logits.ndim() != 1 || logits.size() == 0) throw py::value_error("logits: expected [n_vocab]");
  return choose_token(sampler, {logits.data(), static_cast<size_t>(logits.size())}, n_top);
}

py::list choose_tokens(const std::vector<py::object>& rows, const std::vector<std::shared_ptr<Sampler>>& samplers,
                       int top_logprobs, py::list outcomes) {
  if (rows.size() != samplers.size()) throw py::value_error("choose_tokens: expected a sampler for each row");
  std::vector<SampledToken> sampled;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (samplers[i] == nullptr) throw py::value_error("choose_tokens: expected a Sampler for each row, got None");
    sampled.push_back(choose_from(rows[i], *samplers[i], top_logprobs));
  }
  outcomes.attr("extend")(as_list(sampled, top_logprobs));
  return outcomes;
}

}  // namespace

py::list as_list(const std::vector<SampledToken>& sampled, int n_top) {
  py::list result;
  for (const SampledToken& token : sampled) {
    if (token.error) {
      result.append(as_exception(token.error));
    } else if (n_top == kNoLogprobs) {
      result.append(token.id);
    } else {
      py::list top;
      for (const TokenProbability& entry : token.logprobs.top) {
        top.append(py::make_tuple(entry.id, entry.log_probability));
      }
      result.append(py::make_tuple(token.id, token.logprobs.chosen, top));
    }
  }
  return result;
}

void bind_sampler(py::module_& module) {
  py::class_<Sampler, std::shared_ptr<Sampler>>(module, "Sampler")
      .def(py::init(&make_sampler), py::kw_only(), py::arg("temperature") = 1.0f, py::arg("top_k") = 0,
           py::arg("top_p") = 1.0f, py::arg("min_p") = 0.0f, py::arg("repetition_penalty") = 1.0f,
           py::arg("presence_penalty") = 0.0f, py::arg("frequency_penalty") = 0.0f, py::arg("seed") = 0,
           py::arg("logit_bias") = std::map<int32_t, float>(), py::arg("banned") = std::vector<int32_t>())
      .def(
          "accept",
          [](Sampler& sampler, const py::object& ids) {
            const TokenArray array = to_token_array(ids);
            sampler.accept({array.data(), static_cast<size_t>(array.size())});
          },
          py::arg("ids"))
      .def(
          "resume",
          [](Sampler& sampler, const py::object& ids) {
            const TokenArray array = to_token_array(ids);
            sampler.resume({array.data(), static_cast<size_t>(array.size())});
          },
          py::arg("ids"))
      .def(
          "allow",
          [](Sampler& sampler, const py::array_t<uint32_t, py::array::c_style>& words) {
            if (words.ndim() != 1) throw py::value_error("words: expected uint32 [ceil(n_vocab / 32)]");
            sampler.allow({words.data(), static_cast<size_t>(words.size())});
          },
          py::arg("words").noconvert())
      .def(
          "sample",
          [](Sampler& sampler, const py::array_t<float, py::array::c_style | py::array::forcecast>& logits) {
            if (logits.ndim() != 1 || logits.size() == 0) throw py::value_error("logits: expected [n_vocab]");
            return sampler.sample({logits.data(), static_cast<size_t>(logits.size())});
          },
          py::arg("logits"))
      .def("copy", [](const Sampler& sampler) { return Sampler(sampler); });
  module.def("choose_tokens", choose_tokens, py::arg("rows"), py::arg("samplers"), py::kw_only(),
             py::arg("top_logprobs") = kNoLogprobs, py::arg("outcomes"));
}

}  // namespace belle
