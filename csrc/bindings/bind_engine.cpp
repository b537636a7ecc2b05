// Model and Sequence. The GIL is released during compute; Ctrl-C is checked between layers.
#include "engine/engine.h"

#include <array>
#include <cmath>
#include <memory>
#include <string>

#include "bindings/bindings.h"
#include "gguf/reader.h"

namespace belle {
namespace {

using SequencePtr = std::shared_ptr<Sequence>;
using SamplerPtr = std::shared_ptr<Sampler>;

// The arrays and objects of a batch, kept alive while the GIL is away.
struct Batch {
  std::vector<TokenArray> arrays;
  std::vector<SequencePtr> sequences;
  std::vector<BatchEntry> entries;

  void add(const SequencePtr& sequence, const py::handle& ids, Phase phase) {
    if (sequence == nullptr) throw py::value_error("batch: expected a Sequence in each entry, got None");
    arrays.push_back(to_token_array(ids));
    sequences.push_back(sequence);
    const TokenArray& array = arrays.back();
    entries.push_back({sequence.get(), {array.data(), static_cast<size_t>(array.size())}, phase});
  }
};

LogitsMode mode_from(const std::string& name) {
  if (name == "last") return LogitsMode::kLast;
  if (name == "all") return LogitsMode::kAll;
  if (name == "none") return LogitsMode::kNone;
  throw py::value_error("logits: expected 'last', 'all' or 'none', got '" + name + "'");
}

// The phase of each of n entries: one bool for all, or one for each.
std::vector<Phase> phases_from(const py::object& decode, size_t n) {
  const auto phase_of = [](const py::handle& value) {
    if (!py::isinstance<py::bool_>(value)) throw py::type_error("decode: expected a bool, or one for each entry");
    return value.cast<bool>() ? Phase::kDecode : Phase::kPrefill;
  };
  if (!py::isinstance<py::sequence>(decode)) return std::vector<Phase>(n, phase_of(decode));
  std::vector<Phase> phases;
  for (const py::handle value : decode) phases.push_back(phase_of(value));
  if (phases.size() == n) return phases;
  throw py::value_error("decode: expected one for each of " + std::to_string(n) + " entries, got " +
                        std::to_string(phases.size()));
}

py::list forward(Engine& engine, const std::vector<std::pair<SequencePtr, py::object>>& pairs,
                 const std::string& logits, const py::object& decode) {
  const LogitsMode mode = mode_from(logits);
  const std::vector<Phase> phases = phases_from(decode, pairs.size());
  Batch batch;
  for (size_t i = 0; i < pairs.size(); ++i) batch.add(pairs[i].first, pairs[i].second, phases[i]);
  const size_t n_rows = Engine::logit_row_count(batch.entries, mode);
  py::array_t<float> all({n_rows, engine.vocab_size()});
  float* out = all.mutable_data();
  {
    const py::gil_scoped_release no_gil;
    engine.forward(batch.entries, mode, check_signals, out);
  }
  py::list result;
  size_t first = 0;
  for (const BatchEntry& entry : batch.entries) {
    const size_t count = Engine::logit_row_count({&entry, 1}, mode);
    result.append(all[py::slice(static_cast<py::ssize_t>(first), static_cast<py::ssize_t>(first + count), 1)]);
    first += count;
  }
  return result;
}

py::list forward_sample(Engine& engine, const std::vector<std::tuple<SequencePtr, py::object, SamplerPtr>>& triples,
                        int top_logprobs, const py::object& decode) {
  if (top_logprobs < kNoLogprobs) throw py::value_error("top_logprobs: expected -1 (none) or a count");
  Batch batch;
  std::vector<Sampler*> samplers;
  const std::vector<Phase> phases = phases_from(decode, triples.size());
  for (size_t i = 0; i < triples.size(); ++i) {
    const auto& [sequence, ids, sampler] = triples[i];
    batch.add(sequence, ids, phases[i]);
    if (sampler == nullptr) throw py::value_error("batch: expected a Sampler in each entry, got None");
    samplers.push_back(sampler.get());
  }
  std::vector<SampledToken> sampled;
  {
    const py::gil_scoped_release no_gil;
    const Span<Sampler* const> all(samplers.data(), samplers.size());
    sampled = engine.forward_sample(batch.entries, all, top_logprobs, check_signals);
  }
  py::list result;
  for (const SampledToken& token : sampled) {
    if (top_logprobs == kNoLogprobs) {
      result.append(token.id);
      continue;
    }
    py::list top;
    for (const TokenProbability& entry : token.logprobs.top)
      top.append(py::make_tuple(entry.id, entry.log_probability));
    result.append(py::make_tuple(token.id, token.logprobs.chosen, top));
  }
  return result;
}

// A file that is open already, or the one at a path.
std::shared_ptr<const GgufFile> opened(const py::object& file) {
  if (py::isinstance<GgufFile>(file)) return file.cast<std::shared_ptr<GgufFile>>();
  const std::string path = to_path(file);
  const py::gil_scoped_release no_gil;
  return std::make_shared<GgufFile>(path);
}

py::dict config_of(const Engine& engine) {
  const ModelConfig& config = engine.config();
  py::dict result;
  result["architecture"] = config.architecture;
  result["n_layers"] = config.n_layers;
  result["n_heads"] = config.n_heads;
  result["n_kv_heads"] = config.n_kv_heads;
  result["head_dim"] = config.head_dim;
  result["hidden_size"] = config.hidden_size;
  result["feed_forward_size"] = config.feed_forward_size;
  result["vocab_size"] = engine.vocab_size();
  result["context_length"] = config.context_length;
  return result;
}

py::list activation_forms_of(const Engine& engine) {
  py::list result;
  for (const ActivationChoice& choice : engine.activation_choices()) {
    py::dict errors;
    for (size_t i = 0; i < kActivationFormCount; ++i) {
      const double error = choice.errors.forms[i];
      if (!std::isnan(error)) errors[name_of(static_cast<ActivationForm>(i))] = error;
    }
    py::dict entry;
    entry["tensor"] = choice.tensor;
    entry["type"] = traits_of(choice.type).name;
    entry["form"] = name_of(choice.form);
    entry["outliers"] = choice.outliers;
    entry["errors"] = errors;
    entry["yardstick"] = choice.errors.yardstick;
    entry["weight_error"] = choice.errors.weights;
    entry["influence"] = choice.influence;
    result.append(entry);
  }
  return result;
}

py::dict stop_profile(Engine& engine) {
  std::array<Profile::Entry, kOperationCount> entries;
  {
    const py::gil_scoped_release no_gil;
    entries = engine.stop_profile();
  }
  py::dict result;
  for (size_t i = 0; i < kOperationCount; ++i) {
    result[kOperationNames[i]] = py::make_tuple(entries[i].seconds, entries[i].calls);
  }
  return result;
}

py::bytes save(const Sequence& sequence) {
  std::vector<uint8_t> state;
  {
    const py::gil_scoped_release no_gil;
    state = sequence.save();
  }
  return py::bytes(reinterpret_cast<const char*>(state.data()), state.size());
}

SequencePtr restore(Engine& engine, const py::bytes& data) {
  char* bytes = nullptr;
  Py_ssize_t size = 0;
  if (PyBytes_AsStringAndSize(data.ptr(), &bytes, &size) != 0) throw py::error_already_set();
  const py::gil_scoped_release no_gil;
  return engine.restore({reinterpret_cast<const uint8_t*>(bytes), static_cast<size_t>(size)});
}

TokenArray tokens_of(const Sequence& sequence) {
  std::vector<int32_t> tokens;
  {
    const py::gil_scoped_release no_gil;
    tokens = sequence.tokens();
  }
  TokenArray array(static_cast<py::ssize_t>(tokens.size()));
  std::copy(tokens.begin(), tokens.end(), array.mutable_data());
  return array;
}

}  // namespace

void bind_engine(py::module_& module) {
  using no_gil = py::call_guard<py::gil_scoped_release>;

  py::class_<Sequence, SequencePtr>(module, "Sequence")
      .def_property_readonly("length", py::cpp_function(&Sequence::length, no_gil()))
      .def("tokens", tokens_of)
      .def("fork", &Sequence::fork, no_gil())
      .def("truncate", &Sequence::truncate, py::arg("length"), no_gil())
      .def("discard", &Sequence::discard, py::arg("begin"), py::arg("end"), no_gil())
      .def("save", save);

  py::class_<Engine, std::shared_ptr<Engine>>(module, "Model")
      .def(py::init([](const py::object& file, size_t threads, const std::string& isa, const std::string& kv_type,
                       const std::string& activations) {
             const std::shared_ptr<const GgufFile> gguf = opened(file);
             const py::gil_scoped_release released;
             return Engine::load(*gguf, EngineOptions{threads, isa, kv_type, activations});
           }),
           py::arg("file"), py::kw_only(), py::arg("threads") = 0, py::arg("isa") = "", py::arg("kv_type") = "auto",
           py::arg("activations") = "auto")
      .def_property_readonly("config", config_of)
      .def_property_readonly("isa", [](const Engine& engine) { return std::string(engine.isa()); })
      .def_property_readonly("threads", &Engine::threads)
      .def_property_readonly("kv_type", [](const Engine& engine) { return kv_type_name(engine.kv_shape().type); })
      .def_property_readonly("weight_bytes", &Engine::weight_bytes)
      .def_property_readonly("read_ahead", [](const Engine& engine) { return as_dict(engine.read_ahead()); })
      .def_property_readonly("kv_bytes_per_token",
                             [](const Engine& engine) { return engine.kv_shape().page_bytes() / kPageTokens; })
      .def_property_readonly("kv_bytes", &Engine::kv_bytes)
      .def_property_readonly("activation_forms", activation_forms_of)
      .def("start_profile", &Engine::start_profile, no_gil())
      .def("stop_profile", stop_profile)
      .def("new_sequence", &Engine::new_sequence)
      .def("restore", restore, py::arg("data"))
      .def("forward", forward, py::arg("batch"), py::kw_only(), py::arg("logits") = "last", py::arg("decode") = false)
      .def("forward_sample", forward_sample, py::arg("batch"), py::kw_only(), py::arg("top_logprobs") = kNoLogprobs,
           py::arg("decode") = false);
}

}  // namespace belle
