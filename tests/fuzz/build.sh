#!/bin/sh
# Builds the fuzzer: tests/fuzz/build.sh OUTPUT   (clang with libFuzzer; CXX=clang++-16 chooses one)
set -e
case $1 in /*) output=$1 ;; *) output=$PWD/$1 ;; esac
cd "$(dirname "$0")/../.."
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
flags="-std=c++17 -O1 -g1 -ffp-contract=off -fno-omit-frame-pointer -Icsrc
  -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all"
export flags objects
# Two at a time; an object is named after its path.
ls csrc/core/*.cpp csrc/gguf/*.cpp csrc/quant/*.cpp csrc/kv/*.cpp csrc/ops/*.cpp csrc/loading/*.cpp csrc/model/*.cpp \
  csrc/kernels/read_stream.cpp csrc/kernels/scalar/scalar.cpp tests/fuzz/gguf_fuzzer.cpp |
  xargs -P 2 -I {} sh -c '"${CXX:-clang++}" $flags -c "$1" -o "$objects/$(echo "$1" | tr / _).o"' compile {}
"${CXX:-clang++}" -fsanitize=fuzzer,address,undefined -pthread "$objects"/*.o -o "$output"
