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
	ruff check . && ruff format --check . && pytest -q tests/structure

format:
	ruff format . && clang-format -i $$(git ls-files 'csrc/*.h' 'csrc/*.cpp' 'tests/*.cpp' 'tests/*.h')

bench:
	python benchmarks/tokenizer_load.py
	python benchmarks/convert_memory.py

sanitize:
	pytest -q -n 0 tests/sanitizers
