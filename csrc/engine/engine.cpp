#include "engine/engine.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "core/error.h"
#include "engine/state.h"
#include "model/architectures.h"
#include "tuning/calibration.h"
#include "tuning/read_ahead_distance.h"

namespace belle {
namespace {

constexpr size_t kMaxPositions = size_t{1} << 24;  // every position is exact as a float

KvType choose_kv_type(const std::string& name, const std::vector<Matrix>& matrices) {
  for (const KvType type : kKvTypes) {
    if (name == kv_type_name(type)) return type;
  }
  if (name == "auto") {
    const auto quantized = [](const Matrix& matrix) { return matrix.quantized(); };
    return std::any_of(matrices.begin(), matrices.end(), quantized) ? KvType::kF16 : KvType::kF32;
  }
  throw std::invalid_argument("KV type '" + name + "' is unknown: expected auto, f32, f16 or q8");
}

}  // namespace

// ---- sequences

Sequence::Sequence(std::shared_ptr<Engine> engine, KvSequence kv) : engine_(std::move(engine)), kv_(std::move(kv)) {
  change();
}

void Sequence::change() { state_ = ++engine_->n_states_; }

size_t Sequence::length() const {
  engine_->pool_.require_same_process();
  const std::lock_guard<std::mutex> lock(engine_->mutex_);
  return tokens_.size();
}

std::vector<int32_t> Sequence::tokens() const {
  engine_->pool_.require_same_process();
  const std::lock_guard<std::mutex> lock(engine_->mutex_);
  return tokens_;
}

std::shared_ptr<Sequence> Sequence::fork() const {
  engine_->pool_.require_same_process();
  const std::lock_guard<std::mutex> lock(engine_->mutex_);
  auto copy = std::make_shared<Sequence>(engine_, kv_.fork());
  copy->tokens_ = tokens_;
  return copy;
}

void Sequence::truncate(size_t length) {
  engine_->pool_.require_same_process();
  const std::lock_guard<std::mutex> lock(engine_->mutex_);
  if (length > tokens_.size()) {
    throw std::invalid_argument("cannot truncate a sequence of " + std::to_string(tokens_.size()) + " tokens to " +
                                std::to_string(length));
  }
  tokens_.resize(length);
  kv_.truncate(length);
  change();
}

void Sequence::discard(size_t begin, size_t end) {
  engine_->pool_.require_same_process();
  const std::lock_guard<std::mutex> lock(engine_->mutex_);
  const size_t length = tokens_.size(), distance = end - begin;
  if (begin > end || end > length) {
    throw std::invalid_argument("cannot discard positions " + std::to_string(begin) + " to " + std::to_string(end) +
                                " of a sequence of " + std::to_string(length) + " tokens");
  }
  if (distance == 0) return;
  if (!engine_->decoder_->keys_can_move()) {
    throw UnsupportedModelError("this architecture's keys are bound to their positions: a full context cannot slide");
  }
  change();
  kv_.reserve(begin, length - begin);
  engine_->context_.kv_writer().move_down(kv_.shape(), kv_.page_table(), end, length, distance);
  engine_->decoder_->shift_keys(kv_.shape(), kv_.page_table(), begin, length - distance, distance);
  tokens_.erase(tokens_.begin() + static_cast<std::ptrdiff_t>(begin),
                tokens_.begin() + static_cast<std::ptrdiff_t>(end));
  kv_.truncate(tokens_.size());
}

void Sequence::save(const std::function<uint8_t*(size_t)>& allocate) const {
  engine_->pool_.require_same_process();
  const std::lock_guard<std::mutex> lock(engine_->mutex_);
  uint8_t* state = allocate(state_bytes(kv_.shape(), tokens_.size()));
  encode_state(engine_->fingerprint_, kv_, tokens_, engine_->pool_, state);
}

// ---- loading

std::shared_ptr<Engine> Engine::load(const GgufFile& gguf, const EngineOptions& options) {
  return std::shared_ptr<Engine>(new Engine(gguf, options));
}

Engine::Engine(const GgufFile& gguf, const EngineOptions& options)
    : pool_(options.threads), context_{kernels_for(options.isa), pool_} {
  fingerprint_ = fingerprint_of(gguf);
  decoder_ = load_decoder(gguf, context_, options.progress);
  const ModelConfig& config = decoder_->config();
  const KvType kv_type = choose_kv_type(options.kv_type, decoder_->matrices());
  kv_pool_ = std::make_shared<KvPool>(KvShape{kv_type, config.n_layers, config.n_kv_heads, config.head_dim});
  Calibration calibration = calibrate(options.activations, *decoder_, context_, kv_pool_);
  context_.forms = std::move(calibration.forms);
  activation_choices_ = std::move(calibration.choices);
  context_.read_ahead = measure_read_ahead(context_, decoder_->matrices());
}

// ---- profile

void Engine::start_profile() {
  pool_.require_same_process();
  const std::lock_guard<std::mutex> lock(mutex_);
  profile_.clear();
  context_.profile = &profile_;
}

std::array<Profile::Entry, kOperationCount> Engine::stop_profile() {
  pool_.require_same_process();
  const std::lock_guard<std::mutex> lock(mutex_);
  context_.profile = nullptr;
  return profile_.entries();
}

std::shared_ptr<Sequence> Engine::new_sequence() {
  pool_.require_same_process();
  return std::make_shared<Sequence>(shared_from_this(), KvSequence(kv_pool_));
}

std::shared_ptr<Sequence> Engine::restore(Span<const uint8_t> state) {
  auto sequence = new_sequence();
  const std::lock_guard<std::mutex> lock(mutex_);
  decode_state(state, fingerprint_, decoder_->embedding_rows(), pool_, sequence->kv_, sequence->tokens_);
  return sequence;
}

// ---- forward

size_t Engine::logit_row_count(Span<const BatchEntry> batch, LogitsMode mode) noexcept {
  size_t n_tokens = 0;
  for (const BatchEntry& entry : batch) n_tokens += entry.tokens.size();
  switch (mode) {
    case LogitsMode::kNone: return 0;
    case LogitsMode::kLast: return batch.size();
    case LogitsMode::kAll: return n_tokens;
  }
  std::abort();  // no mode
}

bool Engine::forward(Span<const BatchEntry> batch, LogitsMode mode, const InterruptCheck& check, float* logits,
                     const Rest* rest) {
  pool_.require_same_process();  // before the lock, which a thread that fork() did not copy may hold for ever
  const std::lock_guard<std::mutex> lock(mutex_);
  const OperationTimer timer(context_.profile, Operation::kOther);
  validate(batch);
  collect_rows(batch, mode);
  if (rest == nullptr) run(batch, check, logits);
  else if (!run_or_rest(batch, check, *rest, logits)) return false;
  commit(batch);
  return true;
}

// Begins anew unless `resting` is of this batch, as it is now.
void Engine::compare_or_begin(Span<const BatchEntry> batch, RestingBatch& resting) const {
  std::vector<uint64_t> states;
  for (const BatchEntry& entry : batch) states.push_back(entry.sequence->state_);
  if (states == resting.states_ && tokens_ == resting.tokens_) return;
  resting.pass_ = {};
  resting.states_ = std::move(states);
  resting.tokens_ = tokens_;
}

std::vector<SampledToken> Engine::forward_sample(Span<const BatchEntry> batch, Span<Sampler* const> samplers, int n_top,
                                                 ChoiceErrors errors, const InterruptCheck& check, const Rest* rest) {
  pool_.require_same_process();
  const std::lock_guard<std::mutex> lock(mutex_);
  const OperationTimer timer(context_.profile, Operation::kOther);
  sample_logits_.resize(std::max(sample_logits_.size(), batch.size() * vocab_size()));
  validate(batch);
  collect_rows(batch, LogitsMode::kLast);
  if (rest == nullptr) run(batch, check, sample_logits_.data());
  else if (!run_or_rest(batch, check, *rest, sample_logits_.data())) return {};
  const OperationTimer sampling(context_.profile, Operation::kSampling);
  std::vector<SampledToken> sampled;
  for (size_t i = 0; i < batch.size(); ++i) {
    const Span<const float> logits(sample_logits_.data() + i * vocab_size(), vocab_size());
    sampled.push_back(choose_token(*samplers[i], logits, n_top));
    if (errors == ChoiceErrors::kThrow && sampled.back().error) std::rethrow_exception(sampled.back().error);
  }
  commit(batch);
  return sampled;
}

void Engine::validate(Span<const BatchEntry> batch) const {
  std::vector<const Sequence*> seen;
  for (const BatchEntry& entry : batch) {
    if (entry.sequence->engine_.get() != this) throw std::invalid_argument("a sequence belongs to another model");
    if (entry.tokens.empty()) throw std::invalid_argument("a batch entry has no tokens: give at least one");
    if (entry.sequence->tokens_.size() + entry.tokens.size() > kMaxPositions) {
      throw std::invalid_argument("a sequence would exceed " + std::to_string(kMaxPositions) + " tokens");
    }
    for (const int32_t id : entry.tokens) {
      if (id < 0 || static_cast<size_t>(id) >= decoder_->embedding_rows()) {
        throw std::invalid_argument("token id " + std::to_string(id) + " is outside the vocabulary of " +
                                    std::to_string(decoder_->embedding_rows()));
      }
    }
    seen.push_back(entry.sequence);
  }
  std::sort(seen.begin(), seen.end());
  if (std::adjacent_find(seen.begin(), seen.end()) != seen.end()) {
    throw std::invalid_argument("the same sequence appears twice in one batch: join its tokens into one entry");
  }
}

void Engine::collect_rows(Span<const BatchEntry> batch, LogitsMode mode) {
  tokens_.clear();
  rows_.clear();
  logit_rows_.clear();
  for (const BatchEntry& entry : batch) {
    const size_t length = entry.sequence->tokens_.size(), n_new = entry.tokens.size();
    entry.sequence->kv_.reserve(length, n_new);
    for (size_t i = 0; i < n_new; ++i) {
      if (mode == LogitsMode::kAll || (mode == LogitsMode::kLast && i + 1 == n_new)) {
        logit_rows_.push_back(static_cast<uint32_t>(rows_.size()));
      }
      tokens_.push_back(entry.tokens[i]);
      rows_.push_back({entry.sequence->kv_.page_table(), static_cast<uint32_t>(length + i)});
    }
  }
}

void Engine::run(Span<const BatchEntry> batch, const InterruptCheck& check, float* logits, const LogitPieces* pieces) {
  size_t next_logit = 0, first = 0;
  if (!context_.forms.any_wide()) return run_rows(first, rows_.size(), check, next_logit, logits, pieces);
  // Neighbours of one phase go together.
  for (size_t i = 0; i < batch.size();) {
    const Phase phase = batch[i].phase;
    size_t end = first;
    for (; i < batch.size() && batch[i].phase == phase; ++i) end += batch[i].tokens.size();
    context_.phase = phase;
    run_rows(first, end, check, next_logit, logits, pieces);
    first = end;
  }
}

bool Engine::run_or_rest(Span<const BatchEntry> batch, const InterruptCheck& check, const Rest& rest, float* logits) {
  if (batch.empty()) return true;
  context_.phase = batch[0].phase;
  const auto is_other = [&](const BatchEntry& entry) { return entry.phase != context_.phase; };
  if (rows_.size() > kMaxPassRows || std::any_of(batch.begin(), batch.end(), is_other)) {
    throw std::invalid_argument("a pass that may rest: expected up to " + std::to_string(kMaxPassRows) +
                                " tokens of one phase");
  }
  compare_or_begin(batch, rest.batch);
  RestingPass& pass = rest.batch.pass_;
  pass.is_due = rest.is_due;
  PassInput input{tokens_, rows_, logit_rows_};
  input.resting = &pass;
  if (!decoder_->forward(kv_shape(), input, check, logits)) return false;
  rest.batch = {};
  return true;
}

// Rows [first, end) in passes; next_logit counts the rows of logits written so far. pieces: takes them, counted over
// all passes.
void Engine::run_rows(size_t first, size_t end, const InterruptCheck& check, size_t& next_logit, float* logits,
                      const LogitPieces* pieces) {
  for (; first < end; first += kMaxPassRows) {
    const size_t n_rows = std::min(kMaxPassRows, end - first);
    const size_t first_logit = next_logit;
    pass_logit_rows_.clear();
    for (; next_logit < logit_rows_.size() && logit_rows_[next_logit] < first + n_rows; ++next_logit) {
      pass_logit_rows_.push_back(logit_rows_[next_logit] - static_cast<uint32_t>(first));
    }
    PassInput input{{tokens_.data() + first, n_rows}, {rows_.data() + first, n_rows}, pass_logit_rows_};
    if (pieces == nullptr) {
      decoder_->forward(kv_shape(), input, check, logits + first_logit * vocab_size());
      continue;
    }
    const LogitPieces of_pass{pieces->n_rows,
                              [&](size_t row, size_t n, float* piece) { pieces->take(first_logit + row, n, piece); }};
    input.pieces = &of_pass;
    decoder_->forward(kv_shape(), input, check, logits);
  }
}

void Engine::commit(Span<const BatchEntry> batch) {
  for (const BatchEntry& entry : batch) {
    std::vector<int32_t>& tokens = entry.sequence->tokens_;
    tokens.insert(tokens.end(), entry.tokens.begin(), entry.tokens.end());
    entry.sequence->change();
  }
}

}  // namespace belle
