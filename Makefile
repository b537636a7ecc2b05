# Thin aliases; each is a plain command that also works by itself.
.PHONY: build test quick lint format bench sanitize

build:
	python setup.py build_ext --inplace

test:
	pytest

# Something of every part in about a minute: what CONTRIBUTING.md calls the fast subset.
quick:
	pytest -m "not slow"

lint:
	pre-commit run --all-files
	pytest -q tests/structure

format:
	ruff check --fix . && ruff format .
	clang-format -i $$(git ls-files '*.h' '*.cpp')

bench:
	python benchmarks/tokenizer_load.py
	python benchmarks/convert_memory.py

sanitize:
	pytest -q -n 0 tests/sanitizers
