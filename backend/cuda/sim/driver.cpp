// A simulated libcuda.so.1: the driver functions that the CUDA backend calls.
// Kernels are the C++ compiled from the same sources as the PTX.
//
// The environment sets it up, at any time:
//   CUSIM_DEVICES=n        number of devices (1)
//   CUSIM_MEMORY=n         bytes of each device's memory (2^30)
//   CUSIM_VERSION=n        version of the driver, as cuDriverGetVersion (13000)
//   CUSIM_CAPABILITY=mn    compute capability (80)
//   CUSIM_SCHEDULE=...     step, first, last, or random:SEED
//   CUSIM_INIT_ERROR=n     what cuInit returns
//   CUSIM_FAIL=n[:code]    call number n fails, with 999 if no code is given; after
//                          one of 700 to 719 its context answers every call so
//   CUSIM_REFUSE=text      no PTX compiles, and the compiler says text
//   CUSIM_MODE=n           compute mode; none can be used in mode 2
//
// Attributes from 2^20 on count, from the beginning of the process: calls,
// launches of kernels, bytes to and from the device, allocations alive, other
// objects alive, launches of graphs, the kernels that graphs have run, bytes of
// spins that kernels have written to the device's memory (put_spins), functions
// that have been called and of which no call was made to fail (stderr names
// them), and kernels that have not run.
//
// A graph is what a stream captures, one launch after another. While a thread
// captures it may not do what waits or allocates; where a kernel of a graph was
// given an address of the device's memory, there must be some when it is launched.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <sys/mman.h>

#include "engine.h"

namespace {

typedef int Result;
enum {
  OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, DEVICE_UNAVAILABLE = 46, INVALID_DEVICE = 101, INVALID_IMAGE = 200, INVALID_CONTEXT = 201,
  INVALID_PTX = 218, INVALID_HANDLE = 400, ILLEGAL_STATE = 401, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700, LAUNCH_FAILED = 719,
  CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901, CAPTURE_IMPLICIT = 906, CAPTURE_WRONG_THREAD = 908, UNKNOWN = 999
};

enum { ATTRIBUTE_CALLS = 1 << 20, ATTRIBUTE_LAUNCHES, ATTRIBUTE_TO_DEVICE, ATTRIBUTE_FROM_DEVICE, ATTRIBUTE_ALLOCATIONS, ATTRIBUTE_OBJECTS, ATTRIBUTE_GRAPHS, ATTRIBUTE_NODES,
       ATTRIBUTE_SPINS, ATTRIBUTE_UNFAILED, ATTRIBUTE_UNUSED };

struct Counters {
  std::atomic<int> calls{0}, launches{0}, to_device{0}, from_device{0}, objects{0}, graphs{0}, nodes{0};
} counters;

std::string setting(const char *name) {
  const char *s = getenv(name);
  return s ? s : "";
}

long number(const char *name, long otherwise) {
  std::string s = setting(name);
  return s.empty() ? otherwise : atol(s.c_str());
}

Result lose(Result r);

std::mutex functions_mutex;
std::map<std::string, bool> functions; // that have been called, and whether a call failed as ordered

// Counts a call of a function; the error that was ordered for it, or OK.
Result ordered(const char *function) {
  int n = ++counters.calls;
  std::string s = setting("CUSIM_FAIL");
  const bool fails = atoi(s.c_str()) == n;
  {
    std::lock_guard<std::mutex> lock(functions_mutex);
    functions[function] |= fails;
  }
  if (!fails) return OK;
  size_t colon = s.find(':');
  return lose(colon == std::string::npos ? UNKNOWN : atoi(s.c_str() + colon + 1));
}

struct Kernel {
  std::string name;
  cusim::Invoke invoke;
  int parameters;
  unsigned threads;
  bool used = false;
};
std::map<std::string, Kernel> &kernels() {
  static auto *m = new std::map<std::string, Kernel>;
  return *m;
}

// An allocation ends where a page begins that nobody may touch, so that a kernel
// that reads or writes beyond it dies; what lies between, to 16 bytes, and 256
// bytes before it are fences that nobody may write to. Before those is another
// such page.
const size_t GUARD = 256, PAGE = 4096;
const unsigned char POISON = 0xA5, FENCE = 0x5C;
struct Allocation {
  size_t size;
  int device;
  unsigned char *pages; // all of them, with both guards
  size_t mapped;
};
std::mutex memory_mutex;
std::map<uint64_t, Allocation> memory;

struct Context {
  int device, retained;
  Result lost;
  std::atomic<int> objects; // that go with it
};
Context contexts[64];
std::atomic<bool> initialized{false};
thread_local Context *current = nullptr;

// Errors of kernels stay with the context.
Result lose(Result r) {
  if (current && r >= ILLEGAL_ADDRESS && r <= LAUNCH_FAILED) current->lost = r;
  return r;
}

struct Module {
  std::string image;
};
struct Event {
  std::chrono::steady_clock::time_point time;
};

// A launch: the values of its parameters, and which of them point into an
// allocation.
struct Node {
  Kernel *kernel;
  unsigned x, y, z;
  std::vector<uint64_t> values;
  std::vector<bool> points;
};
struct Graph {
  int device;
  std::vector<Node> nodes;
};
struct Stream {
  unsigned flags;
  int device;
  Graph *captured = nullptr;
  bool invalid = false;
};
thread_local Stream *capturing = nullptr;

bool fences_whole(uint64_t p, size_t n) {
  for (size_t i = 1; i <= GUARD; i++)
    if (((unsigned char *)p)[-(long)i] != FENCE) return false;
  for (; n % 16; n++)
    if (((unsigned char *)p)[n] != FENCE) return false;
  return true;
}

size_t used(int device) {
  size_t n = 0;
  for (auto &m : memory)
    if (m.second.device == device) n += m.second.size;
  return n;
}

cusim::Schedule schedule() {
  cusim::Schedule s;
  std::string name = setting("CUSIM_SCHEDULE");
  if (name == "first") s.kind = s.FIRST;
  else if (name == "last") s.kind = s.LAST;
  else if (name.compare(0, 7, "random:") == 0) s.kind = s.RANDOM, s.seed = strtoull(name.c_str() + 7, nullptr, 10);
  return s;
}

Result complain(Result r, const std::string &what) {
  fprintf(stderr, "cusim: %s\n", what.c_str());
  return r;
}

Result run(Kernel &k, unsigned x, unsigned y, unsigned z, void **parameters) {
  k.used = true;
  std::string fault = cusim::run_grid(k.invoke, parameters, k.threads, x, y, z, schedule());
  return fault.empty() ? OK : complain(lose(LAUNCH_FAILED), k.name + ": " + fault);
}

// Functions that have been called and of which no call was made to fail.
int unfailed() {
  std::lock_guard<std::mutex> lock(functions_mutex);
  int n = 0;
  for (auto &f : functions)
    if (!f.second) n++, fprintf(stderr, "cusim: no call of %s has failed\n", f.first.c_str());
  return n;
}

// Kernels that have not run.
int unused() {
  int n = 0;
  for (auto &k : kernels())
    if (!k.second.used) n++, fprintf(stderr, "cusim: %s has not run\n", k.first.c_str());
  return n;
}

// An entry of the PTX and its number of parameters, or -1.
int ptx_parameters(const std::string &image, const std::string &kernel) {
  size_t p = image.find(".entry " + kernel + "(");
  if (p == std::string::npos) return -1;
  size_t end = image.find(')', p);
  int n = 0;
  for (size_t i = p; (i = image.find(".param", i)) < end; i++) n++;
  return n;
}

} // namespace

namespace cusim {

bool add_kernel(const char *name, Invoke invoke, int parameters, unsigned threads) {
  kernels()[name] = {name, invoke, parameters, threads};
  return true;
}

bool allocated(uint64_t p, size_t n) {
  std::lock_guard<std::mutex> lock(memory_mutex);
  auto it = memory.upper_bound(p);
  if (it == memory.begin()) return false;
  --it;
  return p + n <= it->first + it->second.size;
}

} // namespace cusim

#define API extern "C" __attribute__((visibility("default"))) Result
#define ORDERED                          \
  if (Result r = ordered(__func__)) return r;    \
  if (!initialized) return NOT_INITIALIZED;
#define NEEDS_CONTEXT                                 \
  ORDERED if (!current) return INVALID_CONTEXT;       \
  if (current->lost) return current->lost;
// Calls that a capture does not allow: they spoil it.
#define NOT_CAPTURING                   \
  if (capturing) {                      \
    capturing->invalid = true;          \
    return CAPTURE_UNSUPPORTED;         \
  }
// Calls that free something do so even when they fail.
#define FREEING                            \
  Result failure = ordered(__func__);              \
  if (!initialized) return NOT_INITIALIZED; \
  if (!current) return INVALID_CONTEXT;   \
  if (current->lost) return current->lost;

// Counts objects of the context that are made, or with -1 destroyed.
static void count_objects(int n) { counters.objects += n, current->objects += n; }

API cuInit(unsigned) {
  if (int e = (int)number("CUSIM_INIT_ERROR", 0)) return e;
  initialized = true;
  return OK;
}
API cuDriverGetVersion(int *v) { return *v = (int)number("CUSIM_VERSION", 13000), OK; }
API cuDeviceGetCount(int *n) {
  ORDERED return *n = (int)number("CUSIM_DEVICES", 1), OK;
}
API cuDeviceGet(int *d, int i) {
  ORDERED if (i < 0 || i >= number("CUSIM_DEVICES", 1)) return INVALID_DEVICE;
  return *d = i, OK;
}
API cuDeviceGetName(char *s, int n, int) {
  ORDERED return snprintf(s, n, "Simulated CUDA device"), OK;
}
API cuDeviceTotalMem_v2(size_t *n, int) {
  ORDERED return *n = number("CUSIM_MEMORY", 1 << 30), OK;
}
API cuDeviceGetAttribute(int *v, int a, int) {
  std::lock_guard<std::mutex> lock(memory_mutex);
  switch (a) {
  case ATTRIBUTE_CALLS: return *v = counters.calls, OK;
  case ATTRIBUTE_LAUNCHES: return *v = counters.launches, OK;
  case ATTRIBUTE_TO_DEVICE: return *v = counters.to_device, OK;
  case ATTRIBUTE_FROM_DEVICE: return *v = counters.from_device, OK;
  case ATTRIBUTE_ALLOCATIONS: return *v = (int)memory.size(), OK;
  case ATTRIBUTE_OBJECTS: return *v = counters.objects, OK;
  case ATTRIBUTE_GRAPHS: return *v = counters.graphs, OK;
  case ATTRIBUTE_NODES: return *v = counters.nodes, OK;
  case ATTRIBUTE_SPINS: return *v = (int)cusim::spin_bytes, OK;
  case ATTRIBUTE_UNFAILED: return *v = unfailed(), OK;
  case ATTRIBUTE_UNUSED: return *v = unused(), OK;
  }
  ORDERED switch (a) {
  case 16: return *v = 1, OK;         // multiprocessors
  case 13: return *v = 1000000, OK;   // clock, kHz
  case 20: return *v = (int)number("CUSIM_MODE", 0), OK;
  case 36: return *v = 1000000, OK;   // memory clock, kHz
  case 37: return *v = 1024, OK;      // memory bus, bits
  case 75: return *v = (int)number("CUSIM_CAPABILITY", 80) / 10, OK;
  case 76: return *v = (int)number("CUSIM_CAPABILITY", 80) % 10, OK;
  }
  return INVALID_VALUE;
}

API cuDevicePrimaryCtxRetain(Context **c, int d) {
  ORDERED if (d < 0 || d >= number("CUSIM_DEVICES", 1)) return INVALID_DEVICE;
  if (number("CUSIM_MODE", 0) == 2) return DEVICE_UNAVAILABLE;
  contexts[d].device = d, contexts[d].retained++, counters.objects++;
  return *c = &contexts[d], OK;
}
API cuDevicePrimaryCtxRelease_v2(int d) {
  Result failure = ordered(__func__);
  if (!contexts[d].retained) return INVALID_CONTEXT;
  counters.objects--;
  if (--contexts[d].retained || !contexts[d].lost) return failure;
  // What a lost context held goes with it, as with any; others have been
  // emptied before, which is what tests look at.
  std::lock_guard<std::mutex> lock(memory_mutex);
  for (auto it = memory.begin(); it != memory.end();)
    if (it->second.device == d) munmap(it->second.pages, it->second.mapped), it = memory.erase(it);
    else ++it;
  counters.objects -= contexts[d].objects, contexts[d].objects = 0;
  contexts[d].lost = OK;
  return failure;
}
API cuCtxSetCurrent(Context *c) {
  ORDERED return current = c, OK;
}
API cuCtxSynchronize() {
  NEEDS_CONTEXT NOT_CAPTURING return OK;
}

API cuMemAlloc_v2(uint64_t *p, size_t n) {
  NEEDS_CONTEXT NOT_CAPTURING if (!n) return INVALID_VALUE;
  std::lock_guard<std::mutex> lock(memory_mutex);
  if (n > (size_t)number("CUSIM_MEMORY", 1 << 30) - used(current->device)) return OUT_OF_MEMORY;
  const size_t whole = (n + 15) / 16 * 16, inside = (GUARD + whole + PAGE - 1) / PAGE * PAGE, mapped = inside + 2 * PAGE;
  void *pages = mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) return OUT_OF_MEMORY;
  unsigned char *first = (unsigned char *)pages + PAGE, *q = first + inside - whole;
  if (mprotect(first, inside, PROT_READ | PROT_WRITE)) return munmap(pages, mapped), OUT_OF_MEMORY;
  memset(q - GUARD, FENCE, GUARD), memset(q, POISON, n), memset(q + n, FENCE, whole - n);
  memory[*p = (uint64_t)q] = {n, current->device, (unsigned char *)pages, mapped};
  return OK;
}
API cuMemFree_v2(uint64_t p) {
  FREEING NOT_CAPTURING std::lock_guard<std::mutex> lock(memory_mutex);
  auto it = memory.find(p);
  if (it == memory.end()) return INVALID_VALUE;
  bool whole = fences_whole(p, it->second.size);
  munmap(it->second.pages, it->second.mapped);
  memory.erase(it);
  return whole ? failure : complain(ILLEGAL_ADDRESS, "a write beyond an allocation");
}
API cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t n) {
  NEEDS_CONTEXT NOT_CAPTURING if (!cusim::allocated(to, n)) return INVALID_VALUE;
  memcpy((void *)to, from, n), counters.to_device += (int)n;
  return OK;
}
API cuMemcpyDtoH_v2(void *to, uint64_t from, size_t n) {
  NEEDS_CONTEXT NOT_CAPTURING if (!cusim::allocated(from, n)) return INVALID_VALUE;
  memcpy(to, (void *)from, n), counters.from_device += (int)n;
  return OK;
}
API cuMemcpyDtoD_v2(uint64_t to, uint64_t from, size_t n) {
  NEEDS_CONTEXT NOT_CAPTURING if (!cusim::allocated(to, n) || !cusim::allocated(from, n)) return INVALID_VALUE;
  memmove((void *)to, (void *)from, n);
  return OK;
}
API cuMemsetD8_v2(uint64_t to, unsigned char x, size_t n) {
  NEEDS_CONTEXT NOT_CAPTURING if (!cusim::allocated(to, n)) return INVALID_VALUE;
  memset((void *)to, x, n);
  return OK;
}
API cuMemsetD32_v2(uint64_t to, unsigned x, size_t n) {
  NEEDS_CONTEXT NOT_CAPTURING if (to % 4 || !cusim::allocated(to, 4 * n)) return INVALID_VALUE;
  for (size_t i = 0; i < n; i++) ((unsigned *)to)[i] = x;
  return OK;
}

// options 5 and 6 are where the compiler's words go, and how many fit.
API cuModuleLoadDataEx(Module **m, const void *image, unsigned n, int *options, void **values) {
  NEEDS_CONTEXT const char *s = (const char *)image;
  std::string refusal = setting("CUSIM_REFUSE");
  if (!refusal.empty()) {
    char *log = nullptr;
    size_t size = 0;
    for (unsigned i = 0; i < n; i++) {
      if (options[i] == 5) log = (char *)values[i];
      if (options[i] == 6) size = (size_t)values[i];
    }
    if (log) snprintf(log, size, "%s", refusal.c_str());
    return INVALID_PTX;
  }
  if (!strstr(s, ".version 7.0") || !strstr(s, ".target sm_80")) return INVALID_IMAGE;
  count_objects(1);
  return *m = new Module{s}, OK;
}
API cuModuleLoadData(Module **m, const void *image) { return cuModuleLoadDataEx(m, image, 0, nullptr, nullptr); }
API cuModuleUnload(Module *m) {
  FREEING delete m;
  count_objects(-1);
  return failure;
}
API cuModuleGetFunction(Kernel **k, Module *m, const char *name) {
  NEEDS_CONTEXT auto it = kernels().find(name);
  int n = ptx_parameters(m->image, name);
  if (it == kernels().end() || n < 0) return NOT_FOUND;
  if (n != it->second.parameters) return complain(INVALID_PTX, std::string(name) + " has other parameters in the PTX than in C++");
  return *k = &it->second, OK;
}
API cuLaunchKernel(Kernel *k, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, Stream *stream,
                   void **parameters, void **extra) {
  NEEDS_CONTEXT if (!k) return INVALID_HANDLE;
  if (!gx || !gy || !gz || gx > 0x7FFFFFFF || gy > 65535 || gz > 65535 || bx != k->threads || by != 1 || bz != 1 || shared || extra)
    return complain(INVALID_VALUE, k->name + ": a launch of the wrong shape");
  if (capturing && stream != capturing) {
    capturing->invalid = true;
    return CAPTURE_IMPLICIT;
  }
  // Streams are for captures: what is launched on one of its own would be ordered with nothing.
  if (stream && !stream->captured) return complain(INVALID_HANDLE, k->name + ": a launch on a stream that is not the default one");
  if (!stream) {
    counters.launches++;
    return run(*k, gx, gy, gz, parameters);
  }
  Node node = {k, gx, gy, gz, {}, {}};
  for (int i = 0; i < k->parameters; i++) {
    node.values.push_back(*(uint64_t *)parameters[i]);
    node.points.push_back(cusim::allocated(node.values.back(), 1));
  }
  stream->captured->nodes.push_back(node);
  return OK;
}

API cuStreamCreate(Stream **s, unsigned flags) {
  NEEDS_CONTEXT NOT_CAPTURING if (flags > 1) return INVALID_VALUE;
  count_objects(1);
  return *s = new Stream{flags, current->device}, OK;
}
API cuStreamDestroy_v2(Stream *s) {
  FREEING if (!s || s->captured) return INVALID_HANDLE;
  delete s;
  count_objects(-1);
  return failure;
}
// Without the flag of a stream that does not wait for the legacy stream, the
// launches of every other thread would be refused meanwhile; mode 1 lets other
// threads allocate.
API cuStreamBeginCapture_v2(Stream *s, int mode) {
  NEEDS_CONTEXT NOT_CAPTURING if (!s || s->captured || s->flags != 1 || mode != 1) return ILLEGAL_STATE;
  s->captured = new Graph{s->device, {}}, s->invalid = false, capturing = s;
  count_objects(1);
  return OK;
}
API cuStreamEndCapture(Stream *s, Graph **g) {
  Result failure = ordered(__func__);
  *g = nullptr;
  if (!s || !s->captured) return ILLEGAL_STATE;
  if (s != capturing) return CAPTURE_WRONG_THREAD;
  capturing = nullptr;
  if (failure || s->invalid) {
    delete s->captured;
    count_objects(-1);
  } else {
    *g = s->captured;
  }
  s->captured = nullptr;
  return failure ? failure : s->invalid ? CAPTURE_INVALIDATED : OK;
}
API cuGraphDestroy(Graph *g) {
  FREEING delete g;
  count_objects(-1);
  return failure;
}
API cuGraphInstantiate_v2(Graph **exec, Graph *g, void **, char *, size_t) {
  NEEDS_CONTEXT NOT_CAPTURING if (!g || g->nodes.empty()) return INVALID_VALUE;
  count_objects(1);
  return *exec = new Graph(*g), OK;
}
API cuGraphExecDestroy(Graph *exec) { return cuGraphDestroy(exec); }
API cuGraphLaunch(Graph *exec, Stream *stream) {
  NEEDS_CONTEXT NOT_CAPTURING if (!exec) return INVALID_HANDLE;
  if (stream || exec->device != current->device) return INVALID_CONTEXT;
  counters.graphs++;
  for (Node &n : exec->nodes) {
    std::vector<void *> parameters;
    for (size_t i = 0; i < n.values.size(); i++) {
      if (n.points[i] && !cusim::allocated(n.values[i], 1)) return complain(ILLEGAL_ADDRESS, n.kernel->name + ": the memory of a graph is gone");
      parameters.push_back(&n.values[i]);
    }
    counters.nodes++;
    if (Result r = run(*n.kernel, n.x, n.y, n.z, parameters.data())) return r;
  }
  return OK;
}

API cuEventCreate(Event **e, unsigned) {
  NEEDS_CONTEXT count_objects(1);
  return *e = new Event, OK;
}
API cuEventDestroy_v2(Event *e) {
  FREEING delete e;
  count_objects(-1);
  return failure;
}
API cuEventRecord(Event *e, void *) {
  NEEDS_CONTEXT return e->time = std::chrono::steady_clock::now(), OK;
}
API cuEventSynchronize(Event *) {
  NEEDS_CONTEXT return OK;
}
static Result elapsed(float *ms, Event *a, Event *b) {
  NEEDS_CONTEXT return *ms = std::chrono::duration<float, std::milli>(b->time - a->time).count(), OK;
}
API cuEventElapsedTime(float *ms, Event *a, Event *b) { return elapsed(ms, a, b); }
API cuEventElapsedTime_v2(float *ms, Event *a, Event *b) { return elapsed(ms, a, b); }
