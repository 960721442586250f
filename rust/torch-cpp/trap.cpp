// A handler of SIGFPE for divisions inside libtorch. It comes before the previous handler (the JVM's, which needs it for Java's
// own divisions).
//
// x86 raises SIGFPE here only for a `div` or `idiv` whose quotient does not exist. If the instruction lies in one of the
// libraries that compute for us, the handler sets the quotient to the dividend and the remainder to 0 (the wrapped result). It
// records that this happened, and continues after the instruction. The call that caused it then fails with a message. All other
// signals go to the previous handler. Nothing is unwound, so no lock or memory is lost.
#include "trap.h"

#include "error.h"

#include <dlfcn.h>
#include <link.h>
#include <signal.h>
#include <ucontext.h>

#include <array>
#include <atomic>
#include <cstring>

namespace {

struct Range {
  uintptr_t begin;
  uintptr_t end;
};

constexpr size_t max_ranges = 32;
std::array<Range, max_ranges> ranges;
std::atomic<size_t> range_count{0};
struct sigaction before;

std::atomic<uint64_t> foreign_traps{0};
thread_local uint64_t own_traps = 0;
thread_local bool computes = false;  // a thread that called traps_so_far, so that traps are checked

// Executable parts of libtorch, the libraries it computes with, and our own.
int note_ranges(dl_phdr_info* info, size_t, void*) {
  const char* name = strrchr(info->dlpi_name, '/');
  name = name == nullptr ? info->dlpi_name : name + 1;
  const bool wanted = strncmp(name, "libtorch", 8) == 0 || strncmp(name, "libc10", 6) == 0 || strncmp(name, "libopenblas", 11) == 0 ||
      strncmp(name, "libgomp", 7) == 0 || strncmp(name, "libmkl", 6) == 0 || strncmp(name, "libflambeau", 11) == 0;
  if (!wanted) return 0;
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const auto& part = info->dlpi_phdr[i];
    size_t n = range_count.load();
    if (part.p_type != PT_LOAD || (part.p_flags & PF_X) == 0 || n == max_ranges) continue;
    const uintptr_t begin = info->dlpi_addr + part.p_vaddr;
    ranges[n] = {begin, begin + part.p_memsz};
    range_count.store(n + 1);
  }
  return 0;
}

bool is_ours(uintptr_t at) {
  for (size_t i = 0; i < range_count.load(); i++) {
    if (at >= ranges[i].begin && at < ranges[i].end) return true;
  }
  return false;
}

struct Division {
  size_t length;  // of the instruction; 0: it is no division
  int operand_bytes;
};

// Length of the `div` or `idiv` at `code`: prefixes, F6 or F7, ModRM with /6 or /7, SIB, displacement.
Division decode(const uint8_t* code) {
  const uint8_t* p = code;
  int bytes = 4;
  while (*p == 0x66 || *p == 0x67 || *p == 0x2e || *p == 0x36 || *p == 0x3e || *p == 0x26 || *p == 0x64 || *p == 0x65 || *p == 0xf2 ||
      *p == 0xf3) {
    if (*p == 0x66) bytes = 2;
    if (++p - code > 4) return {0, 0};
  }
  if ((*p & 0xf0) == 0x40) {
    if (*p & 0x08) bytes = 8;
    p++;
  }
  if (*p != 0xf6 && *p != 0xf7) return {0, 0};
  if (*p == 0xf6) bytes = 1;
  const uint8_t modrm = *++p;
  if (((modrm >> 3) & 7) < 6) return {0, 0};
  const int mod = modrm >> 6, rm = modrm & 7;
  p++;
  if (mod != 3 && rm == 4) {
    const uint8_t sib = *p++;
    if (mod == 0 && (sib & 7) == 5) p += 4;
  } else if (mod == 0 && rm == 5) {
    p += 4;
  }
  if (mod == 1) p += 1;
  if (mod == 2) p += 4;
  return {static_cast<size_t>(p - code), bytes};
}

void handle(int signal, siginfo_t* info, void* context) {
  auto* registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  const auto at = static_cast<uintptr_t>(registers[REG_RIP]);
  if (info->si_code == FPE_INTDIV && is_ours(at)) {
    const Division division = decode(reinterpret_cast<const uint8_t*>(at));
    if (division.length > 0) {
      if (computes) {
        own_traps++;
      } else {
        foreign_traps.fetch_add(1);
      }
      // The dividend's lower half stays as quotient: for the smallest integer by -1 that is the result that wraps around.
      switch (division.operand_bytes) {
        case 1: registers[REG_RAX] &= ~0xff00LL; break;
        case 2: registers[REG_RDX] &= ~0xffffLL; break;
        case 4: registers[REG_RAX] &= 0xffffffffLL; [[fallthrough]];
        default: registers[REG_RDX] = 0;
      }
      registers[REG_RIP] += static_cast<greg_t>(division.length);
      return;
    }
  }
  if (before.sa_flags & SA_SIGINFO) {
    before.sa_sigaction(signal, info, context);
  } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(signal);
  } else {
    // As if we were not here: the instruction runs again and the process ends as it would have.
    sigaction(signal, &before, nullptr);
  }
}

}  // namespace

namespace flambeau {

Traps traps_so_far() {
  computes = true;
  return {own_traps, foreign_traps.load()};
}

}  // namespace flambeau

extern "C" {

// Puts the handler in place. Once per process, after libtorch was loaded.
void flb_handle_traps(FlbError* error) {
  flambeau::guarded<int>(error, 0, [&] {
    dl_iterate_phdr(note_ranges, nullptr);
    struct sigaction ours {};
    TORCH_CHECK(sigaction(SIGFPE, nullptr, &before) == 0, "the handler of SIGFPE cannot be read");
    ours.sa_sigaction = handle;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigemptyset(&ours.sa_mask);
    TORCH_CHECK(sigaction(SIGFPE, &ours, nullptr) == 0, "the handler of SIGFPE cannot be set");
    return 0;
  });
}

}  // extern "C"
