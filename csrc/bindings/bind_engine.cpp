// Model and Sequence. The GIL is released during compute; Ctrl-C is checked between layers.
#include "engine/engine.h"

#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "bindings/bindings.h"
#include "core/error.h"
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

// Runs `pass` without the GIL. It takes what it asks between layers, and how it may rest there: in `resting`, where the
// Python function `stop` says True.
template <typename Pass>
void run_pass(const py::object& stop, RestingBatch* resting, const Pass& pass) {
  if (stop.is_none() != (resting == nullptr)) throw py::value_error("stop and resting: expected both, or neither");
  const auto is_due = [&] {
    const py::gil_scoped_acquire gil;
    return static_cast<bool>(py::bool_(stop()));
  };
  const InterruptCheck check = [] { check_signals(); };
  const py::gil_scoped_release no_gil;
  if (resting == nullptr) return pass(check, nullptr);
  const Rest rest{is_due, *resting};
  pass(check, &rest);
}

py::list forward(Engine& engine, const std::vector<std::pair<SequencePtr, py::object>>& pairs,
                 const std::string& logits, const py::object& decode, const py::object& stop, RestingBatch* resting) {
  const LogitsMode mode = mode_from(logits);
  const std::vector<Phase> phases = phases_from(decode, pairs.size());
  Batch batch;
  for (size_t i = 0; i < pairs.size(); ++i) batch.add(pairs[i].first, pairs[i].second, phases[i]);
  const size_t n_rows = Engine::logit_row_count(batch.entries, mode);
  py::array_t<float> all({n_rows, engine.vocab_size()});
  float* out = all.mutable_data();
  bool done = false;
  run_pass(stop, resting, [&](const InterruptCheck& check, const Rest* rest) {
    done = engine.forward(batch.entries, mode, check, out, rest);
  });
  py::list result;
  if (!done) return result;
  size_t first = 0;
  for (const BatchEntry& entry : batch.entries) {
    const size_t count = Engine::logit_row_count({&entry, 1}, mode);
    result.append(all[py::slice(static_cast<py::ssize_t>(first), static_cast<py::ssize_t>(first + count), 1)]);
    first += count;
  }
  return result;
}

py::list forward_sample(Engine& engine, const std::vector<std::tuple<SequencePtr, py::object, SamplerPtr>>& triples,
                        int top_logprobs, const py::object& decode, std::optional<py::list> outcomes,
                        const py::object& stop, RestingBatch* resting) {
  if (top_logprobs < kNoLogprobs) throw py::value_error("top_logprobs: expected -1 (none) or a count");
  const ChoiceErrors errors = outcomes ? ChoiceErrors::kReport : ChoiceErrors::kThrow;
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
  run_pass(stop, resting, [&](const InterruptCheck& check, const Rest* rest) {
    const Span<Sampler* const> all(samplers.data(), samplers.size());
    sampled = engine.forward_sample(batch.entries, all, top_logprobs, errors, check, rest);
  });
  py::list result = as_list(sampled, top_logprobs);
  if (!outcomes) return result;
  outcomes->attr("extend")(result);  // here, so that no signal comes between what was chosen and who learns of it
  return *outcomes;
}

// The tokens that an entry wants scores for.
std::vector<TokenOfRow> asked_from(const py::handle& rows, const py::handle& targets) {
  const TokenArray places = to_token_array(rows), ids = to_token_array(targets);
  if (places.size() != ids.size()) {
    throw py::value_error("scores: expected as many places as tokens, got " + std::to_string(places.size()) + " and " +
                          std::to_string(ids.size()));
  }
  std::vector<TokenOfRow> tokens;
  for (py::ssize_t i = 0; i < ids.size(); ++i) tokens.push_back({static_cast<uint32_t>(places.at(i)), ids.at(i)});
  return tokens;
}

py::list forward_scores(Engine& engine,
                        const std::vector<std::tuple<SequencePtr, py::object, py::object, py::object>>& entries) {
  Batch batch;
  std::vector<std::vector<TokenOfRow>> asked;
  for (const auto& [sequence, ids, rows, targets] : entries) {
    batch.add(sequence, ids, Phase::kPrefill);
    asked.push_back(asked_from(rows, targets));
  }
  const std::vector<ScoredTokens> spans(asked.begin(), asked.end());
  std::vector<TokenScore> scores;
  run_pass(py::none(), nullptr, [&](const InterruptCheck& check, const Rest*) {
    scores = engine.forward_scores(batch.entries, spans, check);
  });
  py::list result;
  auto score = scores.begin();
  for (const std::vector<TokenOfRow>& tokens : asked) {
    const auto n = static_cast<py::ssize_t>(tokens.size());
    py::array_t<double> log_probabilities(n);
    py::array_t<bool> greedy(n);
    for (py::ssize_t i = 0; i < n; ++i, ++score) {
      log_probabilities.mutable_at(i) = score->log_probability;
      greedy.mutable_at(i) = score->greedy;
    }
    result.append(py::make_tuple(log_probabilities, greedy));
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

py::object save(const Sequence& sequence) {
  py::object bytes;  // filled in place: a state may have a gigabyte
  const auto allocate = [&bytes](size_t n_bytes) {
    const py::gil_scoped_acquire gil;
    bytes = py::reinterpret_steal<py::object>(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(n_bytes)));
    if (!bytes) throw py::error_already_set();
    return reinterpret_cast<uint8_t*>(PyBytes_AS_STRING(bytes.ptr()));
  };
  const py::gil_scoped_release no_gil;
  sequence.save(allocate);
  return bytes;
}

SequencePtr restore(Engine& engine, const py::buffer& data) {
  const py::buffer_info info = data.request();
  if (info.itemsize != 1 || info.ndim != 1 || (info.size > 0 && info.strides[0] != 1)) {
    throw py::value_error("restore: expected bytes that follow each other");
  }
  const py::gil_scoped_release no_gil;
  return engine.restore({static_cast<const uint8_t*>(info.ptr), static_cast<size_t>(info.size)});
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

  py::class_<LoadProgress>(module, "LoadProgress")
      .def(py::init<>())
      .def_property_readonly("done_bytes", [](const LoadProgress& progress) { return progress.done_bytes.load(); })
      .def_property_readonly("total_bytes", [](const LoadProgress& progress) { return progress.total_bytes.load(); });
  py::class_<RestingBatch>(module, "RestingBatch")
      .def(py::init<>())
      .def_property_readonly("n_layers", &RestingBatch::n_layers);
  py::class_<Sequence, SequencePtr>(module, "Sequence")
      .def_property_readonly("length", py::cpp_function(&Sequence::length, no_gil()))
      .def("tokens", tokens_of)
      .def("fork", &Sequence::fork, no_gil())
      .def("truncate", &Sequence::truncate, py::arg("length"), no_gil())
      .def("discard", &Sequence::discard, py::arg("begin"), py::arg("end"), no_gil())
      .def("save", save);

  py::class_<Engine, std::shared_ptr<Engine>>(module, "Model")
      .def(py::init([](const py::object& file, size_t threads, const std::string& isa, const std::string& kv_type,
                       const std::string& activations, LoadProgress* progress) {
             const std::shared_ptr<const GgufFile> gguf = opened(file);
             const py::gil_scoped_release released;
             return Engine::load(*gguf, EngineOptions{threads, isa, kv_type, activations, progress});
           }),
           py::arg("file"), py::kw_only(), py::arg("threads") = 0, py::arg("isa") = "", py::arg("kv_type") = "auto",
           py::arg("activations") = "auto", py::arg("progress") = py::none())
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
      .def("forward", forward, py::arg("batch"), py::kw_only(), py::arg("logits") = "last", py::arg("decode") = false,
           py::arg("stop") = py::none(), py::arg("resting") = py::none())
      .def("forward_sample", forward_sample, py::arg("batch"), py::kw_only(), py::arg("top_logprobs") = kNoLogprobs,
           py::arg("decode") = false, py::arg("outcomes") = py::none(), py::arg("stop") = py::none(),
           py::arg("resting") = py::none())
      .def("forward_scores", forward_scores, py::arg("batch"));
}

}  // namespace belle
