# Thin aliases; each is a plain command that also works by itself.
.PHONY: build test lint format bench asan

build:
	python setup.py build_ext --inplace

test:
	pytest

lint:
	pre-commit run --all-files
	pytest -q tests/structure

format:
	ruff check --fix . && ruff format .
	clang-format -i $$(git ls-files '*.h' '*.cpp')

bench:
	python benchmarks/tokenizer_load.py
	python benchmarks/convert_memory.py

asan:
	pytest -q tests/kernels -k sanitiz
