#!/bin/sh
# Builds the fuzzer: tests/fuzz/build.sh OUTPUT   (clang with libFuzzer; CXX=clang++-16 chooses one)
set -e
root=$(cd "$(dirname "$0")/../.." && pwd)
objects=$(mktemp -d)
trap 'rm -rf "$objects"' EXIT
compile() {
  source=$1
  "${CXX:-clang++}" -std=c++17 -O1 -g -ffp-contract=off -fno-omit-frame-pointer \
    -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
    -I"$root/csrc" -c "$source" -o "$objects/$(echo "$source" | tr / _).o"
}
for folder in core gguf quant kv ops loading model; do
  for source in "$root/csrc/$folder"/*.cpp; do compile "$source"; done
done
compile "$root/csrc/kernels/read_stream.cpp"
compile "$root/csrc/kernels/scalar/scalar.cpp"
compile "$root/tests/fuzz/gguf_fuzzer.cpp"
"${CXX:-clang++}" -fsanitize=fuzzer,address,undefined -pthread "$objects"/*.o -o "$1"
