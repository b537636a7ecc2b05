// Exceptions of the C++ core; bindings/ maps each to its Python class.
#pragma once

#include <new>
#include <stdexcept>
#include <string>
#include <utility>

namespace belle {

/// A file is damaged or inconsistent -> belle_edge.errors.ModelFormatError.
class ModelFormatError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A sound file needs something this engine lacks -> belle_edge.errors.UnsupportedModelError.
class UnsupportedModelError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The operating system refused -> OSError(error_number, message, path); the path may be empty.
class SystemError : public std::runtime_error {
 public:
  SystemError(int error_number, const std::string& message, std::string path = "")
      : std::runtime_error(message), error_number_(error_number), path_(std::move(path)) {}
  int error_number() const noexcept { return error_number_; }
  const std::string& path() const noexcept { return path_; }

 private:
  int error_number_;
  std::string path_;
};

/// Memory has run out -> MemoryError with this message.
class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(std::string message) : message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

/// The caller asked to stop (Ctrl-C); nothing was committed.
class Interrupted : public std::exception {
 public:
  const char* what() const noexcept override { return "interrupted"; }
};

}  // namespace belle
