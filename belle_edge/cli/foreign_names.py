"""What users of llama.cpp, Ollama and transformers type, in the words of this program: data."""

from __future__ import annotations

from collections.abc import Mapping

from ..languages import msg

_NO_GPU = msg("there is no GPU in use here: leave it out, the model runs on the CPU")
_OWN_MEMORY = msg("leave it out: the weights are read once, into memory of their own")
_BY_ITSELF = msg("leave it out: that is decided by itself")
_CHAT = msg("leave it out: `belle-edge chat` is the conversation, `generate` one answer")
_NO_SEARCH = msg("not offered: --temperature 0 takes the most probable token each time")
_NO_GRAMMAR = msg("not offered here, but in Python: generate(…, grammar=…); --schema FILE and --choice are")
_FILES = msg("models are files here: `belle-edge pull ID` downloads one, `info FILE` describes it")

_TABLE: Mapping[
    tuple[str, ...], str
] = {  # our options and positionals, the first that a command has -> others' names
    ("model", "src"): "m model model-path model-name-or-path gguf hf hfr hf-repo",
    ("--prompt", "prompt"): "p prompt text input query",
    ("--file",): "f input-file prompt-file in-file",
    (
        "--max-tokens",
        "--generate",
    ): "n n-predict predict num-predict n-gen max-new-tokens max-length max-len tokens "
    "n-tokens num-tokens max-output-tokens max-completion-tokens",
    ("--context",): "c ctx ctx-size n-ctx num-ctx ctx-len context-size context-length context-window "
    "max-seq-len max-model-len",
    ("--threads",): "t n-threads num-threads num-thread nthreads cpu-threads tb threads-batch",
    ("--seed",): "s random-seed",
    ("--temperature",): "temp",
    ("--repetition-penalty",): "repeat-penalty rep-pen",
    ("--presence-penalty",): "presence-pen",
    ("--frequency-penalty",): "freq-penalty",
    ("--repeat", "--stop"): "r",
    ("--stop",): "reverse-prompt stop-string stop-strings stop-sequence stop-sequences stop-words antiprompt",
    ("--schema",): "json-schema-file jf",
    ("--choice",): "choices",
    ("--system",): "sys system-prompt system-message",
    ("--kv",): "ctk ctv cache-type cache-type-k cache-type-v kv-type kv-cache-type type-k type-v",
    ("--type",): "outtype ftype quantize quantization quant dtype",
    ("--output", "--to"): "out outfile out-file output-file output-dir local-dir dest",
    ("--batch",): "b",
    ("--force",): "overwrite",
    ("--quiet",): "silent log-disable",
    ("--verbose",): "debug",
    ("--raw",): "no-cnv no-conversation no-chat-template",
}
OPTIONS: Mapping[str, tuple[str, ...]] = {
    name: targets for targets, names in _TABLE.items() for name in names.split()
}

_ANSWERS: Mapping[str, str] = {
    _NO_GPU: "ngl gpu-layers n-gpu-layers num-gpu gpu gpus device devices dev cuda sm split-mode mg main-gpu ts "
    "tensor-split",
    _OWN_MEMORY: "mmap no-mmap mlock numa use-mmap use-mlock",
    _BY_ITSELF: "b batch-size ub ubatch-size fa flash-attn jinja no-warmup warmup no-display-prompt color no-perf perf "
    "keepalive nowordwrap use-cache device-map torch-dtype",
    _CHAT: "i interactive interactive-first cnv conversation ins instruct st single-turn",
    _NO_SEARCH: "num-beams beams do-sample beam-size best-of mirostat typical tfs dry-multiplier xtc-probability",
    _NO_GRAMMAR: "grammar grammar-file",
    msg("write --schema FILE"): "j json-schema",
    msg("--json prints each answer as one JSON line"): "format output-format",
    msg("give line breaks as they are, or as \\n in a line of --jsonl"): "e escape",
    msg("convert with --type q8_0"): "load-in-8bit",
    msg("convert with --type iq4_m, the default"): "load-in-4bit",
}
ANSWERS: Mapping[str, str] = {name: answer for answer, names in _ANSWERS.items() for name in names.split()}

_COMMAND_TABLE: Mapping[str, str] = {  # ours -> others' names for it
    "generate": "ask complete infer inference prompt answer query simple llama-simple",
    "chat": "talk interactive repl cli llama-cli main conversation",
    "convert": "quantize create import convert-hf-to-gguf convert_hf_to_gguf llama-quantize",
    "pull": "download fetch get",
    "info": "show describe inspect",
    "verify": "check validate checksum",
    "serve": "server llama-server api",
    "bench": "benchmark llama-bench perf",
}
COMMANDS: Mapping[str, str] = {name: ours for ours, names in _COMMAND_TABLE.items() for name in names.split()}
COMMAND_ANSWERS: Mapping[str, str] = {
    **dict.fromkeys(("list", "ls", "ps", "rm", "cp", "stop", "push"), _FILES),
    **dict.fromkeys(("tokenize", "detokenize"), msg("from Python: Belle.load(PATH).tokenize(TEXT)")),
    **dict.fromkeys(
        ("embed", "embedding"), msg("not offered: Belle.logits gives the model's output in Python")
    ),
}
