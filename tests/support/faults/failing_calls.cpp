// Calls of libc that change files, made to fail on request: the library that tests preload.
//
// A call counts where its file lies below the directory that `fault_arm` was given; the n-th one of
// the armed kinds fails, is cut short, or ends the process. Everything in the process goes through
// here: Python, HDF5, SQLite, Arrow. What strace does to a traced process, without its cost.
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

namespace {

enum Kind : unsigned {
  WRITE = 1, SYNC = 2, RENAME = 4, LINK = 8, CREATE = 16, ROOM = 32, UNLINK = 64, MKDIR = 128,
  CHMOD = 256, CLOSE = 512, READ = 1024
};
enum Mode { FAIL = 0, SHORT = 1, KILL = 2, TEAR = 3 };

char root[4096];
std::atomic<unsigned> kinds{0};
std::atomic<long> calls{0}, number{0}, injected{0}, by_kind[11];
int error_number = EIO, for_ever = 0, mode = FAIL;

template <typename Function> Function next_of(const char *name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

bool below(const char *path) {
  size_t length = strlen(root);
  return length && path && !strncmp(path, root, length);
}

bool below(int descriptor) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return false;
  path[length] = 0;
  return below(path);
}

// Whether this call is the one, or one of those after it.
template <typename Place> bool is_due(unsigned kind, Place place) {
  if (!(kinds.load() & kind) || !below(place)) return false;
  long call = ++calls;
  ++by_kind[__builtin_ctz(kind)];
  if (call != number && !(for_ever && call > number)) return false;
  ++injected;
  if (mode == KILL) kill(getpid(), SIGKILL);
  return true;
}

template <typename Result> Result failed() {
  errno = error_number;
  return Result(-1);
}

// How much of a write is done before it fails, is cut short or ends the process.
size_t part_of(size_t length) { return mode == FAIL || length < 2 ? 0 : length / 2; }

template <typename Write> ssize_t write_part(size_t length, Write write) {
  size_t part = part_of(length);
  ssize_t done = part ? write(part) : 0;
  if (mode == TEAR) kill(getpid(), SIGKILL);
  return part ? done : failed<ssize_t>();
}

}  // namespace

extern "C" {

void fault_arm(const char *directory, unsigned of_kinds, long which, int error, int ever, int how) {
  kinds = 0;
  snprintf(root, sizeof root, "%s", directory);
  calls = injected = 0;
  for (auto &count : by_kind) count = 0;
  number = which, error_number = error, for_ever = ever, mode = how;
  kinds = of_kinds;
}
void fault_disarm() { kinds = 0; }
long fault_calls() { return calls; }
long fault_calls_of(int place) { return by_kind[place]; }
long fault_injected() { return injected; }

ssize_t write(int fd, const void *data, size_t length) {
  static auto real = next_of<ssize_t (*)(int, const void *, size_t)>("write");
  if (!is_due(WRITE, fd)) return real(fd, data, length);
  return write_part(length, [&](size_t part) { return real(fd, data, part); });
}
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t at) {
  static auto real = next_of<ssize_t (*)(int, const void *, size_t, off64_t)>("pwrite64");
  if (!is_due(WRITE, fd)) return real(fd, data, length, at);
  return write_part(length, [&](size_t part) { return real(fd, data, part, at); });
}
ssize_t pwrite(int fd, const void *data, size_t length, off_t at) {
  return pwrite64(fd, data, length, at);
}
ssize_t writev(int fd, const struct iovec *parts, int n) {
  static auto real = next_of<ssize_t (*)(int, const struct iovec *, int)>("writev");
  return is_due(WRITE, fd) ? failed<ssize_t>() : real(fd, parts, n);
}
ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *place, size_t length,
                        unsigned flags) {
  static auto real = next_of<ssize_t (*)(int, off64_t *, int, off64_t *, size_t, unsigned)>(
      "copy_file_range");
  if (!is_due(WRITE, to)) return real(from, at, to, place, length, flags);
  return write_part(length,
                    [&](size_t part) { return real(from, at, to, place, part, flags); });
}

ssize_t read(int fd, void *data, size_t length) {
  static auto real = next_of<ssize_t (*)(int, void *, size_t)>("read");
  return is_due(READ, fd) ? failed<ssize_t>() : real(fd, data, length);
}
ssize_t pread64(int fd, void *data, size_t length, off64_t at) {
  static auto real = next_of<ssize_t (*)(int, void *, size_t, off64_t)>("pread64");
  return is_due(READ, fd) ? failed<ssize_t>() : real(fd, data, length, at);
}
ssize_t pread(int fd, void *data, size_t length, off_t at) { return pread64(fd, data, length, at); }
ssize_t preadv64(int fd, const struct iovec *parts, int n, off64_t at) {
  static auto real = next_of<ssize_t (*)(int, const struct iovec *, int, off64_t)>("preadv64");
  return is_due(READ, fd) ? failed<ssize_t>() : real(fd, parts, n, at);
}
ssize_t preadv(int fd, const struct iovec *parts, int n, off_t at) {
  return preadv64(fd, parts, n, at);
}

int fsync(int fd) {
  static auto real = next_of<int (*)(int)>("fsync");
  return is_due(SYNC, fd) ? failed<int>() : real(fd);
}
int fdatasync(int fd) {
  static auto real = next_of<int (*)(int)>("fdatasync");
  return is_due(SYNC, fd) ? failed<int>() : real(fd);
}

int rename(const char *from, const char *to) {
  static auto real = next_of<int (*)(const char *, const char *)>("rename");
  return is_due(RENAME, to) ? failed<int>() : real(from, to);
}
int renameat(int from_fd, const char *from, int to_fd, const char *to) {
  static auto real = next_of<int (*)(int, const char *, int, const char *)>("renameat");
  return is_due(RENAME, to) ? failed<int>() : real(from_fd, from, to_fd, to);
}
int link(const char *from, const char *to) {
  static auto real = next_of<int (*)(const char *, const char *)>("link");
  return is_due(LINK, to) ? failed<int>() : real(from, to);
}
int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags) {
  static auto real = next_of<int (*)(int, const char *, int, const char *, int)>("linkat");
  return is_due(LINK, to) ? failed<int>() : real(from_fd, from, to_fd, to, flags);
}
int unlink(const char *path) {
  static auto real = next_of<int (*)(const char *)>("unlink");
  return is_due(UNLINK, path) ? failed<int>() : real(path);
}
int mkdir(const char *path, mode_t bits) {
  static auto real = next_of<int (*)(const char *, mode_t)>("mkdir");
  return is_due(MKDIR, path) ? failed<int>() : real(path, bits);
}
int chmod(const char *path, mode_t bits) {
  static auto real = next_of<int (*)(const char *, mode_t)>("chmod");
  return is_due(CHMOD, path) ? failed<int>() : real(path, bits);
}
int fchmodat(int fd, const char *path, mode_t bits, int flags) {
  static auto real = next_of<int (*)(int, const char *, mode_t, int)>("fchmodat");
  return is_due(CHMOD, path) ? failed<int>() : real(fd, path, bits, flags);
}
int ftruncate64(int fd, off64_t size) {
  static auto real = next_of<int (*)(int, off64_t)>("ftruncate64");
  return is_due(ROOM, fd) ? failed<int>() : real(fd, size);
}
int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }
int fallocate64(int fd, int how, off64_t at, off64_t length) {
  static auto real = next_of<int (*)(int, int, off64_t, off64_t)>("fallocate64");
  return is_due(ROOM, fd) ? failed<int>() : real(fd, how, at, length);
}

static mode_t bits_of(int flags, va_list rest) {
  return flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}
#define OPEN(NAME)                                                                \
  int NAME(const char *path, int flags, ...) {                                    \
    static auto real = next_of<int (*)(const char *, int, mode_t)>(#NAME);        \
    va_list rest;                                                                 \
    va_start(rest, flags);                                                        \
    mode_t bits = bits_of(flags, rest);                                           \
    va_end(rest);                                                                 \
    if ((flags & O_CREAT) && is_due(CREATE, path)) return failed<int>();          \
    return real(path, flags, bits);                                               \
  }
OPEN(open)
OPEN(open64)
#define OPENAT(NAME)                                                              \
  int NAME(int fd, const char *path, int flags, ...) {                            \
    static auto real = next_of<int (*)(int, const char *, int, mode_t)>(#NAME);   \
    va_list rest;                                                                 \
    va_start(rest, flags);                                                        \
    mode_t bits = bits_of(flags, rest);                                           \
    va_end(rest);                                                                 \
    if ((flags & O_CREAT) && is_due(CREATE, path)) return failed<int>();          \
    return real(fd, path, flags, bits);                                           \
  }
OPENAT(openat)
OPENAT(openat64)

// The descriptor is closed all the same, as Linux does it.
int close(int fd) {
  static auto real = next_of<int (*)(int)>("close");
  bool due = (kinds.load() & CLOSE) && (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY &&
             is_due(CLOSE, fd);
  int result = real(fd);
  return due ? failed<int>() : result;
}

}  // extern "C"
