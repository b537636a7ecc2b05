#include "core/mapped_file.h"

#include <cerrno>
#include <cstring>

#include "core/error.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace belle {

MappedFile::MappedFile(const std::string& name, Span<const uint8_t> bytes)
    : path_(name), data_(bytes.data()), size_(bytes.size()), owns_mapping_(false) {}

void MappedFile::fail_to_read(int error) const {
  check_unchanged();
  throw SystemError(error, std::strerror(error), path_);
}

int MappedFile::copy(uint64_t offset, Span<uint8_t> out) const noexcept {
  if (offset > size_ || out.size() > size_ - offset) return EIO;
  if (!out.empty()) std::memcpy(out.data(), data_ + offset, out.size());
  return 0;
}

#ifdef _WIN32

namespace {

std::wstring to_wide(const std::string& utf8) {
  const int length = MultiByteToWideChar(CP_UTF8, 0, utf8.c_str(), -1, nullptr, 0);
  std::wstring wide(static_cast<size_t>(length > 0 ? length : 1), L'\0');
  MultiByteToWideChar(CP_UTF8, 0, utf8.c_str(), -1, &wide[0], length);
  return wide;
}

}  // namespace

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const HANDLE file = CreateFileW(to_wide(path).c_str(), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE, nullptr,
                                  OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr);
  if (file == INVALID_HANDLE_VALUE) {
    throw SystemError(GetLastError() == ERROR_FILE_NOT_FOUND ? ENOENT : EIO, "cannot open the file", path);
  }
  LARGE_INTEGER size;
  if (!GetFileSizeEx(file, &size)) {
    CloseHandle(file);
    throw SystemError(EIO, "cannot read the file's size", path);
  }
  size_ = static_cast<size_t>(size.QuadPart);
  if (size_ > 0) {
    const HANDLE mapping = CreateFileMappingW(file, nullptr, PAGE_READONLY, 0, 0, nullptr);
    if (mapping != nullptr) {
      data_ = static_cast<const uint8_t*>(MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0));
      CloseHandle(mapping);
    }
  }
  CloseHandle(file);
  if (size_ > 0 && data_ == nullptr) throw SystemError(ENOMEM, "cannot map the file", path);
}

MappedFile::~MappedFile() {
  if (owns_mapping_ && data_ != nullptr) UnmapViewOfFile(data_);
}

// Neither is possible while it is mapped.
void MappedFile::check_unchanged() const {}

void MappedFile::check_in_place() const {}

bool MappedFile::exists(const std::string& path) noexcept {
  const DWORD attributes = GetFileAttributesW(to_wide(path).c_str());
  return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY) == 0;
}

int MappedFile::read(uint64_t offset, Span<uint8_t> out) const noexcept { return copy(offset, out); }

#else

namespace {

int64_t modified_ns(const struct stat& status) noexcept {
#ifdef __APPLE__
  const struct timespec& time = status.st_mtimespec;
#else
  const struct timespec& time = status.st_mtim;
#endif
  return static_cast<int64_t>(time.tv_sec) * 1000000000 + time.tv_nsec;
}

// Neither a pipe, which would wait for a writer, nor a device or a socket. A folder has an error of its own.
void require_regular(const struct stat& status, const std::string& path) {
  if (S_ISREG(status.st_mode)) return;
  if (S_ISDIR(status.st_mode)) throw SystemError(EISDIR, std::strerror(EISDIR), path);
  const char* kind = S_ISFIFO(status.st_mode) ? "a pipe (FIFO)" : S_ISSOCK(status.st_mode) ? "a socket" : "a device";
  throw SystemError(EINVAL, std::string("expected a file, found ") + kind, path);
}

}  // namespace

MappedFile::MappedFile(const std::string& path) : path_(path) {
  struct stat status;
  if (stat(path.c_str(), &status) == 0) require_regular(status, path);
  descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor_ < 0) throw SystemError(errno, std::strerror(errno), path);
  int error = fstat(descriptor_, &status) != 0 ? errno : 0;
  if (error == 0 && !S_ISREG(status.st_mode)) error = EINVAL;  // replaced since
  if (error == 0 && status.st_size > 0) {
    size_ = static_cast<size_t>(status.st_size);
    modified_ns_ = modified_ns(status);
    void* mapping = mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor_, 0);
    if (mapping == MAP_FAILED) error = errno;
    else data_ = static_cast<const uint8_t*>(mapping);
  }
  if (error == 0) return;
  close(descriptor_);
  throw SystemError(error, std::strerror(error), path);
}

MappedFile::~MappedFile() {
  if (!owns_mapping_) return;
  if (data_ != nullptr) munmap(const_cast<uint8_t*>(data_), size_);
  close(descriptor_);
}

void MappedFile::check_unchanged() const {
  if (!owns_mapping_ || size_ == 0) return;
  struct stat status;
  if (fstat(descriptor_, &status) != 0) throw SystemError(errno, std::strerror(errno), path_);
  if (static_cast<size_t>(status.st_size) != size_ || modified_ns(status) != modified_ns_) {
    throw ModelFormatError(
        path_ + ": the file changed while it was in use (" + std::to_string(size_) + " bytes, now " +
        std::to_string(status.st_size) +
        "): load it again when it is complete; to replace a model in use, rename the new file over it");
  }
}

void MappedFile::check_in_place() const {
  check_unchanged();
  if (!owns_mapping_) return;
  struct stat opened, named;
  if (fstat(descriptor_, &opened) != 0) throw SystemError(errno, std::strerror(errno), path_);
  if (stat(path_.c_str(), &named) == 0 && named.st_dev == opened.st_dev && named.st_ino == opened.st_ino) return;
  throw ModelFormatError(path_ + ": the file was replaced while it was being loaded: load it again");
}

bool MappedFile::exists(const std::string& path) noexcept {
  struct stat status;
  return stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

int MappedFile::read(uint64_t offset, Span<uint8_t> out) const noexcept {
  if (!owns_mapping_) return copy(offset, out);
  for (size_t done = 0; done < out.size();) {
    const ssize_t n = pread(descriptor_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (n == 0) return EIO;
    if (n < 0 && errno != EINTR) return errno;
    if (n > 0) done += static_cast<size_t>(n);
  }
  return 0;
}

#endif

}  // namespace belle
