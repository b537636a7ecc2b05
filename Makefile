# Thin aliases; each is a plain command that also works by itself.
.PHONY: build test lint format bench asan

build:
	python setup.py build_ext --inplace

test:
	pytest

lint:
	ruff check . && ruff format --check . && pytest -q tests/structure

format:
	ruff format . && clang-format -i $$(git ls-files 'csrc/*.h' 'csrc/*.cpp' 'tests/*.cpp' 'tests/*.h')

bench:
	python benchmarks/tokenizer_load.py
	python benchmarks/convert_memory.py

asan:
	pytest -q tests/kernels -k sanitiz
