// libflambeau_compat.so: functions that libraries built on a newer Linux call, and that the oldest systems that we support lack. These have
// glibc 2.28 and the libstdc++ of GCC 8 (RHEL 8, Debian 10). lower_versions.py makes our libraries search here last. So a function of this
// file runs only on a system without its own.
//
// Each function has the binary interface of the one that it stands for; most pass the call on to an older form of it. The symbols of
// std::filesystem are not here: they are object files of the compiler's own libstdc++.a, linked in by compat.sh. compat.exports
// names all that the library gives.

#include <cxxabi.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>
#include <typeinfo>

namespace {

constexpr long NANOSECONDS = 1'000'000'000;

// The kernel fills what glibc calls `struct stat` on 64-bit systems.
int status_of(int folder, const char *path, void *status, int flags) {
  return static_cast<int>(syscall(SYS_newfstatat, folder, path, status, flags));
}

}  // namespace

// glibc 2.33: before, headers had them as calls of __xstat.
extern "C" int compat_stat(const char *path, void *status) __asm__("stat");
int compat_stat(const char *path, void *status) { return status_of(AT_FDCWD, path, status, 0); }
extern "C" int compat_stat64(const char *path, void *status) __asm__("stat64");
int compat_stat64(const char *path, void *status) { return status_of(AT_FDCWD, path, status, 0); }
extern "C" int compat_lstat(const char *path, void *status) __asm__("lstat");
int compat_lstat(const char *path, void *status) { return status_of(AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW); }
extern "C" int compat_lstat64(const char *path, void *status) __asm__("lstat64");
int compat_lstat64(const char *path, void *status) { return status_of(AT_FDCWD, path, status, AT_SYMLINK_NOFOLLOW); }
extern "C" int compat_fstat(int file, void *status) __asm__("fstat");
int compat_fstat(int file, void *status) { return static_cast<int>(syscall(SYS_fstat, file, status)); }
extern "C" int compat_fstat64(int file, void *status) __asm__("fstat64");
int compat_fstat64(int file, void *status) { return static_cast<int>(syscall(SYS_fstat, file, status)); }

// glibc 2.30.
extern "C" pid_t compat_gettid() __asm__("gettid");
pid_t compat_gettid() { return static_cast<pid_t>(syscall(SYS_gettid)); }

// glibc 2.32. libstdc++ counts references without atomic instructions where this says true: false is always right.
extern "C" char compat_single_threaded __asm__("__libc_single_threaded");
char compat_single_threaded = 0;

// glibc 2.30. Condition variables wait for a point of CLOCK_REALTIME. The point of another clock is converted to it. If the
// machine's clock is set during the wait, it may end early: std::condition_variable then looks at its own clock, and waits again.
extern "C" int compat_clockwait(pthread_cond_t *, pthread_mutex_t *, clockid_t, const timespec *) __asm__("pthread_cond_clockwait");
int compat_clockwait(pthread_cond_t *condition, pthread_mutex_t *mutex, clockid_t clock, const timespec *deadline) {
  timespec now, real;
  if (clock_gettime(clock, &now) != 0 || clock_gettime(CLOCK_REALTIME, &real) != 0) return EINVAL;
  long nanoseconds = real.tv_nsec + deadline->tv_nsec - now.tv_nsec;
  time_t seconds = real.tv_sec + deadline->tv_sec - now.tv_sec;
  while (nanoseconds < 0) nanoseconds += NANOSECONDS, --seconds;
  while (nanoseconds >= NANOSECONDS) nanoseconds -= NANOSECONDS, ++seconds;
  timespec moved = {seconds < 0 ? 0 : seconds, nanoseconds};
  return pthread_cond_timedwait(condition, mutex, &moved);
}

// GCC 11.
namespace std {
void __throw_bad_array_new_length() { throw bad_array_new_length(); }
}  // namespace std

// GCC 12 has str() for values that go and values that stay; the one of before serves both.
std::string old_str(const std::stringbuf *) __asm__("_ZNKSt7__cxx1115basic_stringbufIcSt11char_traitsIcESaIcEE3strEv");
std::string compat_str(const std::stringbuf *) __asm__("_ZNKRSt7__cxx1115basic_stringbufIcSt11char_traitsIcESaIcEE3strEv");
std::string compat_str(const std::stringbuf *buffer) { return old_str(buffer); }
std::string compat_moved_str(std::stringbuf *) __asm__("_ZNOSt7__cxx1115basic_stringbufIcSt11char_traitsIcESaIcEE3strEv");
std::string compat_moved_str(std::stringbuf *buffer) { return old_str(buffer); }

// GCC 9: constructors without arguments.
void old_output(void *, std::ios_base::openmode) __asm__("_ZNSt7__cxx1119basic_ostringstreamIcSt11char_traitsIcESaIcEEC1ESt13_Ios_Openmode");
void compat_output(void *) __asm__("_ZNSt7__cxx1119basic_ostringstreamIcSt11char_traitsIcESaIcEEC1Ev");
void compat_output(void *self) { old_output(self, std::ios_base::out); }
void old_stream(void *, std::ios_base::openmode) __asm__("_ZNSt7__cxx1118basic_stringstreamIcSt11char_traitsIcESaIcEEC1ESt13_Ios_Openmode");
void compat_stream(void *) __asm__("_ZNSt7__cxx1118basic_stringstreamIcSt11char_traitsIcESaIcEEC1Ev");
void compat_stream(void *self) { old_stream(self, std::ios_base::in | std::ios_base::out); }

// GCC 9: a moved error is a copied one, whose text is shared.
void old_error(void *, const void *) __asm__("_ZNSt13runtime_errorC1ERKS_");
void compat_error(void *, void *) __asm__("_ZNSt13runtime_errorC1EOS_");
void compat_error(void *self, void *other) { old_error(self, other); }
void old_base_error(void *, const void *) __asm__("_ZNSt13runtime_errorC2ERKS_");
void compat_base_error(void *, void *) __asm__("_ZNSt13runtime_errorC2EOS_");
void compat_base_error(void *self, void *other) { old_base_error(self, other); }

// GCC 11 calls these from its headers. Before, libstdc++ kept them to itself. An exception's header ends where the exception begins;
// the type and the destructor are its first fields. A count of references is in the 16 bytes before the header. This layout is part of
// the binary interface of C++ on 64-bit Linux.
namespace {

struct alignas(16) ExceptionHeader {
  int references;
  alignas(16) const std::type_info *type;
  void (*destroy)(void *);
  char rest[96];
};
static_assert(sizeof(ExceptionHeader) == 128, "the header of libstdc++ has this size");

}  // namespace

void compat_addref(void **) __asm__("_ZNSt15__exception_ptr13exception_ptr9_M_addrefEv");
void compat_addref(void **self) {
  if (*self != nullptr) __atomic_add_fetch(&static_cast<ExceptionHeader *>(*self)[-1].references, 1, __ATOMIC_ACQ_REL);
}
void compat_release(void **) __asm__("_ZNSt15__exception_ptr13exception_ptr10_M_releaseEv");
void compat_release(void **self) {
  if (*self == nullptr) return;
  ExceptionHeader *header = static_cast<ExceptionHeader *>(*self) - 1;
  if (__atomic_sub_fetch(&header->references, 1, __ATOMIC_ACQ_REL) == 0) {
    if (header->destroy != nullptr) header->destroy(*self);
    __cxxabiv1::__cxa_free_exception(*self);
    *self = nullptr;
  }
}
