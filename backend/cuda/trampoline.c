//go:build gpu

/* The driver's functions for the linker: each jumps to the one of libcuda.so.1,
 * which is looked for at run time, so that one program starts everywhere. No
 * CUDA header is needed here.
 *
 * gorgonia.org/cu calls cuInit when it is initialised and ends the process if
 * that fails; so cuInit succeeds here, and the library is loaded and truly
 * initialised by the first call that asks for devices or the version. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HIDDEN __attribute__((visibility("hidden")))
enum { NOT_INITIALIZED = 3, NO_DEVICE = 100, NOT_FOUND = 500 };

static int not_loaded(void) { return NOT_INITIALIZED; }
static int not_exported(void) { return NOT_FOUND; }

#define X(name) HIDDEN void *kadanoff_##name = (void *)not_loaded;
#include "entrypoints.inc"
#undef X

#if defined(__x86_64__)
#define JUMP(name) "\tendbr64\n\tjmp *kadanoff_" #name "(%rip)\n"
#elif defined(__aarch64__)
#define JUMP(name) "\tbti c\n\tadrp x16, kadanoff_" #name "\n\tldr x16, [x16, :lo12:kadanoff_" #name "]\n\tbr x16\n"
#else
#error "no trampoline for this CPU"
#endif
#define X(name)                                                                                                            \
  __asm__(".text\n\t.p2align 4\n\t.globl " #name "\n\t.hidden " #name "\n\t.type " #name ",%function\n" #name ":\n" JUMP(name) \
          "\t.size " #name ", .-" #name "\n");
#include "entrypoints.inc"
#undef X

static int (*real_init)(unsigned), (*real_count)(int *), (*real_get)(int *, int), (*real_version)(int *);
static int state = NO_DEVICE; /* what loading and cuInit came to */
static char why[512];

static void load(void) {
  const char *named = getenv("KADANOFF_LIBCUDA");
  if (named && !strcmp(named, "none")) {
    snprintf(why, sizeof why, "turned off by KADANOFF_LIBCUDA=none");
    return;
  }
  const char *places[] = {"libcuda.so.1", "/usr/local/nvidia/lib64/libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1", NULL};
  if (named && *named) places[0] = named, places[1] = NULL;
  void *library = NULL;
  for (int i = 0; places[i] && !library; i++) {
    library = dlopen(places[i], RTLD_NOW | RTLD_LOCAL);
    if (!library && i == 0) snprintf(why, sizeof why, "no NVIDIA driver: %s", dlerror());
  }
  if (!library) return;
  real_init = dlsym(library, "cuInit");
  real_count = dlsym(library, "cuDeviceGetCount");
  real_get = dlsym(library, "cuDeviceGet");
  real_version = dlsym(library, "cuDriverGetVersion");
  if (!real_init || !real_count || !real_get || !real_version) {
    snprintf(why, sizeof why, "libcuda.so.1 is not a CUDA driver");
    return;
  }
  state = real_init(0);
  if (state == NO_DEVICE) {
    snprintf(why, sizeof why, "the NVIDIA driver finds no device");
  } else if (state) {
    snprintf(why, sizeof why, "the NVIDIA driver does not start: cuInit returned %d", state);
  }
  if (state) return;
  why[0] = 0;
#define X(name)                                                  \
  {                                                              \
    void *f = dlsym(library, #name);                             \
    kadanoff_##name = f ? f : (void *)not_exported;              \
  }
#include "entrypoints.inc"
#undef X
}

static int loaded(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, load);
  return state;
}

HIDDEN int cuInit(unsigned flags) { return (int)(flags & 0); }
HIDDEN int cuDeviceGetCount(int *n) {
  *n = 0;
  int r = loaded();
  return r ? r : real_count(n);
}
HIDDEN int cuDeviceGet(int *device, int n) {
  int r = loaded();
  return r ? r : real_get(device, n);
}
HIDDEN int cuDriverGetVersion(int *version) {
  *version = 0;
  int r = loaded();
  return r ? r : real_version(version);
}

/* Why there is no driver; empty if there is one. */
HIDDEN const char *kadanoff_why_no_driver(void) {
  loaded();
  return why;
}
