// Which process this is: locks and threads of before a fork() are of no use in the child.
#pragma once

namespace belle {

/// The process that an object was made in. In a child of fork() other threads do not exist, and a lock that one of
/// them held stays locked for ever: whoever takes a lock asks here first.
class OwnProcess {
 public:
  OwnProcess() noexcept;

  /// False in a child of fork().
  bool is_current() const noexcept;
  /// Throws std::runtime_error, which says what to do, in a child of fork().
  void require() const;

 private:
  long id_;
};

}  // namespace belle
