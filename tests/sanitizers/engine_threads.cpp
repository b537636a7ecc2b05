// For ThreadSanitizer: the thread pool under many short jobs, then one engine under several threads at once. Each
// thread prefills, decodes, forks, saves and samples; its logits must be those that one thread alone gets.
// engine_threads MODEL.gguf [TIER]   Prints a line and returns 0, or says what differed and returns 1.
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/thread_pool.h"
#include "engine/engine.h"
#include "gguf/reader.h"

namespace {

using belle::BatchEntry;
using belle::Engine;
using belle::LogitsMode;
using belle::Phase;
using belle::Sequence;

constexpr size_t kPoolThreads = 4, kCallers = 3, kPromptTokens = 70;
const belle::InterruptCheck kNoCheck = [] {};

// Plain writes of the workers are read by the caller, and those of the caller by the workers of the next job.
bool pool_hands_over_its_results() {
  belle::ThreadPool pool(kPoolThreads);
  for (size_t n_items = 1; n_items <= 400; ++n_items) {
    std::vector<size_t> squares(n_items), doubled(n_items);
    // Now and then every thread takes part: one that is inside waits for the others.
    const size_t n_expected = n_items % 50 == 0 ? kPoolThreads : 1;
    std::atomic<size_t> n_inside{0};
    pool.parallel_for(n_items, [&](size_t begin, size_t end) {
      n_inside.fetch_add(1, std::memory_order_relaxed);
      while (n_inside.load(std::memory_order_relaxed) < n_expected) std::this_thread::yield();
      for (size_t i = begin; i < end; ++i) squares[i] = i * i;
    });
    pool.parallel_for(n_items, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) doubled[i] = 2 * squares[n_items - 1 - i];
    });
    size_t sum = 0;
    for (const size_t value : doubled) sum += value;
    const size_t n = n_items - 1;
    if (sum != n * (n + 1) * (2 * n + 1) / 3) return false;
    if (n_items % 100 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));  // the workers park
  }
  return true;
}

std::vector<int32_t> prompt_of(size_t caller, size_t vocab_size) {
  std::vector<int32_t> ids(kPromptTokens + caller);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>((7 * i * (caller + 3) + caller) % vocab_size);
  return ids;
}

// Logits of every step, one after the other.
std::vector<float> conversation(const std::shared_ptr<Engine>& engine, size_t caller) {
  const size_t n_vocab = engine->vocab_size();
  std::vector<float> all;
  const auto forward = [&](std::vector<BatchEntry> batch) {
    std::vector<float> logits(Engine::logit_row_count(batch, LogitsMode::kLast) * n_vocab);
    engine->forward(batch, LogitsMode::kLast, kNoCheck, logits.data());
    all.insert(all.end(), logits.begin(), logits.end());
  };
  const std::shared_ptr<Sequence> first = engine->new_sequence(), second = engine->new_sequence();
  const std::vector<int32_t> prompt = prompt_of(caller, n_vocab), other(prompt.begin(), prompt.begin() + 9);
  forward({{first.get(), prompt, Phase::kPrefill}, {second.get(), other, Phase::kPrefill}});
  std::vector<uint8_t> state;
  second->save([&](size_t n_bytes) {
    state.resize(n_bytes);
    return state.data();
  });
  const std::shared_ptr<Sequence> fork = first->fork(), restored = engine->restore({state.data(), state.size()});
  first->truncate(40);
  fork->discard(2, 34);
  const std::vector<int32_t> token{static_cast<int32_t>(caller + 5)};
  for (int step = 0; step < 3; ++step) {
    forward({{first.get(), token, Phase::kDecode},
             {second.get(), other, Phase::kPrefill},
             {fork.get(), token, Phase::kDecode},
             {restored.get(), token, Phase::kDecode}});
  }
  belle::Sampler sampler({}, belle::kernels_for(engine->isa()));
  belle::Sampler* const samplers[] = {&sampler};
  const BatchEntry last[] = {{first.get(), token, Phase::kDecode}};
  const auto chosen = engine->forward_sample({last, 1}, {samplers, 1}, 2, belle::ChoiceErrors::kThrow, kNoCheck);
  all.push_back(static_cast<float>(chosen[0].id));
  return all;
}

bool engine_serves_several_threads(const std::string& path, const std::string& tier) {
  belle::EngineOptions options;
  options.threads = kPoolThreads;
  options.isa = tier;
  const std::shared_ptr<Engine> engine = Engine::load(belle::GgufFile(path), options);
  std::vector<std::vector<float>> alone, together(kCallers);
  for (size_t caller = 0; caller < kCallers; ++caller) alone.push_back(conversation(engine, caller));
  std::vector<std::thread> callers;
  for (size_t caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&, caller] { together[caller] = conversation(engine, caller); });
  }
  for (std::thread& caller : callers) caller.join();
  std::printf("tier %s: %zu logits\n", engine->isa(), alone[0].size() * kCallers);
  return alone == together;
}

}  // namespace

int main(int n_arguments, char** arguments) {
  if (n_arguments < 2) {
    std::fprintf(stderr, "usage: engine_threads MODEL.gguf [TIER]\n");
    return 2;
  }
  if (!pool_hands_over_its_results()) {
    std::fprintf(stderr, "the pool lost a result\n");
    return 1;
  }
  if (!engine_serves_several_threads(arguments[1], n_arguments > 2 ? arguments[2] : "")) {
    std::fprintf(stderr, "several threads got other logits than one alone\n");
    return 1;
  }
  return 0;
}
