#include "core/process.h"

#include <stdexcept>

#ifdef _WIN32
#include <process.h>
#else
#include <unistd.h>
#endif

namespace belle {
namespace {

long current_process_id() noexcept {
#ifdef _WIN32
  return _getpid();
#else
  return static_cast<long>(getpid());
#endif
}

}  // namespace

OwnProcess::OwnProcess() noexcept : id_(current_process_id()) {}

bool OwnProcess::is_current() const noexcept { return current_process_id() == id_; }

void OwnProcess::require() const {
  if (is_current()) return;
  throw std::runtime_error(
      "this model was loaded before fork(), and its worker threads do not exist in the child process: "
      "load the model in the child, or start processes with the 'spawn' method");
}

}  // namespace belle
