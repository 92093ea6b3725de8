// Runs the blocks of a launch: fibers for threads, collectives of warps,
// shared memory that is poisoned when a block begins, and schedules that let
// warps run ahead of each other.
#include "engine.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string>
#include <vector>

#include "../../../kernels/cuda/device.h"

__thread Dim3 threadIdx, blockIdx, gridDim;

namespace cusim {
namespace {

// cusim_switch(&save, load) pushes the callee-saved registers, stores the stack
// pointer and goes on with another.
#if defined(__x86_64__)
asm(".text\n.p2align 4\n.globl cusim_switch\n.hidden cusim_switch\n.type cusim_switch,@function\ncusim_switch:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\nmov %rsp,(%rdi)\nmov %rsi,%rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n.size cusim_switch,.-cusim_switch\n");
enum { FRAME = 7, ENTRY = 6 }; // words that a switch pops, and which of them is the return address
#elif defined(__aarch64__)
asm(".text\n.p2align 4\n.globl cusim_switch\n.hidden cusim_switch\n.type cusim_switch,@function\ncusim_switch:\n"
    "sub sp,sp,#160\nstp x19,x20,[sp]\nstp x21,x22,[sp,#16]\nstp x23,x24,[sp,#32]\nstp x25,x26,[sp,#48]\nstp x27,x28,[sp,#64]\nstp x29,x30,[sp,#80]\n"
    "stp d8,d9,[sp,#96]\nstp d10,d11,[sp,#112]\nstp d12,d13,[sp,#128]\nstp d14,d15,[sp,#144]\nmov x9,sp\nstr x9,[x0]\nmov sp,x1\n"
    "ldp x19,x20,[sp]\nldp x21,x22,[sp,#16]\nldp x23,x24,[sp,#32]\nldp x25,x26,[sp,#48]\nldp x27,x28,[sp,#64]\nldp x29,x30,[sp,#80]\n"
    "ldp d8,d9,[sp,#96]\nldp d10,d11,[sp,#112]\nldp d12,d13,[sp,#128]\nldp d14,d15,[sp,#144]\nadd sp,sp,#160\nret\n.size cusim_switch,.-cusim_switch\n");
enum { FRAME = 20, ENTRY = 11 };
#else
#error "no fibers for this CPU"
#endif
extern "C" __attribute__((visibility("hidden"))) void cusim_switch(void **save, void *load);

const unsigned char POISON = 0xA5;
const size_t STACK = 64 << 10, SHARED_BYTES = 48 << 10;

struct Copy {
  void *to;
  const void *from;
};

struct Fiber {
  enum State { READY, BARRIER, COLLECTIVE, DONE } state = DONE;
  Collective kind;
  uint64_t value;
  void *stack_pointer;
  std::vector<char> stack;
  std::vector<Copy> open;               // copies since the last commit
  std::vector<std::vector<Copy>> groups; // committed and not waited for
};

struct Engine {
  std::vector<Fiber> fibers;
  std::vector<uint64_t> values; // what each lane brought to its warp's last exchange
  std::vector<char> shared = std::vector<char>(SHARED_BYTES + 16);
  bool poisoned = false; // the shared memory, for this block
  unsigned threads = 0, current = 0;
  void *caller = nullptr;
  Invoke invoke = nullptr;
  void **parameters = nullptr;
  std::string fault;
};
// A thread's engine; behind a plain pointer, which costs nothing to look up.
__thread Engine *engine;
#define E (*engine)


void run_fiber(unsigned i) {
  E.current = i;
  threadIdx = {i, 0, 0};
  cusim_switch(&E.caller, E.fibers[i].stack_pointer);
}

// Ends the turn of the current fiber. The next lane of its warp that can go on
// does so at once, and after the last one run_fiber returns.
void leave(Fiber::State state) {
  Fiber &f = E.fibers[E.current];
  f.state = state;
  unsigned next = E.current + 1;
  while (next & 31 && E.fibers[next].state != Fiber::READY) next++;
  if (!(next & 31)) return cusim_switch(&f.stack_pointer, E.caller);
  E.current = next;
  threadIdx = {next, 0, 0};
  cusim_switch(&f.stack_pointer, E.fibers[next].stack_pointer);
}

void body() {
  E.invoke(E.parameters);
  leave(Fiber::DONE);
  __builtin_unreachable();
}

void start(Fiber &f) {
  if (f.stack.empty()) f.stack.resize(STACK);
  uintptr_t top = ((uintptr_t)(f.stack.data() + f.stack.size()) & ~(uintptr_t)15) - 16;
  void **frame = (void **)top - 1 - FRAME;
  memset(frame, 0, FRAME * sizeof(void *));
  frame[ENTRY] = (void *)body;
  f.stack_pointer = frame;
  f.state = Fiber::READY;
  f.open.clear();
  f.groups.clear();
}

// d += A B of a warp, for the lanes' fragments of mma.m16n8k32.row.col.s32.s8.s8.s32.
void multiply(unsigned first) {
  signed char a[16][32], b[8][32];
  const Fragment *lanes[32];
  for (unsigned l = 0; l < 32; l++) {
    const Fragment &f = *(lanes[l] = (Fragment *)E.fibers[first + l].value);
    unsigned g = l >> 2, q = l & 3;
    for (unsigned r = 0; r < 4; r++) memcpy(&a[g + 8 * (r & 1)][16 * (r >> 1) + 4 * q], &f.a[r], 4);
    memcpy(&b[g][4 * q], &f.b0, 4);
    memcpy(&b[g][16 + 4 * q], &f.b1, 4);
  }
  short x[16][32], y[8][32]; // products of 16 bits are what CPUs add in pairs
  for (unsigned i = 0; i < 16 * 32; i++) (&x[0][0])[i] = (&a[0][0])[i];
  for (unsigned i = 0; i < 8 * 32; i++) (&y[0][0])[i] = (&b[0][0])[i];
  for (unsigned i = 0; i < 16; i++)
    for (unsigned j = 0; j < 8; j++) {
      int sum = 0;
      for (unsigned k = 0; k < 32; k++) sum += x[i][k] * y[j][k];
      int &d = lanes[4 * (i & 7) + j / 2]->d[2 * (i >> 3) + (j & 1)];
      d = (int)((unsigned)d + (unsigned)sum);
    }
}

// Runs the ready lanes of a warp once, in order.
bool step(unsigned first) {
  for (unsigned i = first; i < first + 32; i++)
    if (E.fibers[i].state == Fiber::READY) return run_fiber(i), true;
  return false;
}

// Completes a collective to which all lanes have come.
bool complete(unsigned first) {
  const Collective kind = E.fibers[first].kind;
  for (unsigned i = first; i < first + 32; i++) {
    if (E.fibers[i].state != Fiber::COLLECTIVE) return false;
    if (E.fibers[i].kind != kind) return E.fault = "lanes of a warp are at different collectives", false;
  }
  if (kind == MULTIPLY)
    multiply(first);
  else
    for (unsigned i = first; i < first + 32; i++) E.values[i] = E.fibers[i].value;
  for (unsigned i = first; i < first + 32; i++) E.fibers[i].state = Fiber::READY;
  return true;
}

struct Order {
  const Schedule &schedule;
  uint64_t random;
  unsigned next(unsigned n) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(random >> 33) % n;
  }
};

bool run_block(Order &order) {
  for (unsigned i = 0; i < E.threads; i++) start(E.fibers[i]);
  E.poisoned = false;
  const unsigned warps = E.threads / 32;
  for (;;) {
    bool moved = false;
    for (unsigned i = 0; i < warps; i++) {
      unsigned w = i, steps = ~0u;
      switch (order.schedule.kind) {
      case Schedule::IN_STEP: steps = 1; break;
      case Schedule::FIRST: break;
      case Schedule::LAST: w = warps - 1 - i; break;
      case Schedule::RANDOM: w = order.next(warps), steps = order.next(20); break;
      }
      for (; steps && (step(32 * w) | complete(32 * w)); steps--) moved = true;
    }
    if (!E.fault.empty()) return false;
    unsigned ended = 0, waiting = 0, ready = 0;
    for (unsigned i = 0; i < E.threads; i++) {
      ended += E.fibers[i].state == Fiber::DONE;
      waiting += E.fibers[i].state == Fiber::BARRIER;
      ready += E.fibers[i].state == Fiber::READY;
    }
    if (ended == E.threads) return true;
    if (ended + waiting == E.threads) {
      for (unsigned i = 0; i < E.threads; i++)
        if (E.fibers[i].state == Fiber::BARRIER) E.fibers[i].state = Fiber::READY;
    } else if (!moved && !ready) {
      bool stuck = true;
      for (unsigned w = 0; w < warps; w++) stuck &= !complete(32 * w);
      if (stuck) {
        if (E.fault.empty()) E.fault = "threads wait at a barrier or collective that others never reach";
        return false;
      }
    }
  }
}

} // namespace

std::atomic<uint64_t> spin_bytes{0};

void sync_threads() { leave(Fiber::BARRIER); }

void *shared(size_t bytes) {
  if (bytes > SHARED_BYTES) {
    E.fault = "more shared memory than a block can have";
    leave(Fiber::DONE);
  }
  if (!E.poisoned) memset(E.shared.data(), POISON, bytes + 16), E.poisoned = true;
  return (void *)(((uintptr_t)E.shared.data() + 15) & ~(uintptr_t)15);
}

unsigned lane() { return E.current & 31; }

void collective(Collective kind, uint64_t value) {
  Fiber &f = E.fibers[E.current];
  f.kind = kind, f.value = value;
  leave(Fiber::COLLECTIVE);
}

const uint64_t *exchanged() { return &E.values[E.current & ~31u]; }

void copy_async16(void *to, const void *from) {
  if (((uintptr_t)to | (uintptr_t)from) & 15) E.fault = "an asynchronous copy that is not aligned to 16 bytes";
  else if (!allocated((uint64_t)from, 16)) E.fault = "an asynchronous copy from outside every allocation";
  if (!E.fault.empty()) leave(Fiber::DONE);
  memset(to, POISON, 16);
  E.fibers[E.current].open.push_back({to, from});
}

void copy_commit() {
  Fiber &f = E.fibers[E.current];
  f.groups.push_back(std::move(f.open));
  f.open.clear();
}

void copy_wait(unsigned groups_left) {
  Fiber &f = E.fibers[E.current];
  while (f.groups.size() > groups_left) {
    for (Copy &c : f.groups[0]) memcpy(c.to, c.from, 16);
    f.groups.erase(f.groups.begin());
  }
}

std::string run_grid(Invoke invoke, void **parameters, unsigned threads, unsigned x, unsigned y, unsigned z, const Schedule &schedule) {
  static thread_local Engine own;
  engine = &own;
  E.threads = threads, E.invoke = invoke, E.parameters = parameters;
  E.fault.clear();
  if (E.fibers.size() < threads) E.fibers.resize(threads);
  E.values.resize(threads);
  gridDim = {x, y, z};
  Order order{schedule, schedule.seed};
  const uint64_t blocks = (uint64_t)x * y * z;
  // No block may wait for another of its launch: they come in order, in the
  // opposite one, or from anywhere on by a step that leaves none out.
  uint64_t at = 0, stride = 1;
  if (schedule.kind == Schedule::LAST) at = blocks - 1, stride = blocks - 1;
  if (schedule.kind == Schedule::RANDOM) {
    at = order.next(1u << 31) % blocks, stride = order.next(1u << 31) % blocks;
    while (std::gcd(stride, blocks) != 1) stride++;
  }
  for (uint64_t n = 0; n < blocks; n++, at = (at + stride) % blocks) {
    blockIdx = {(unsigned)(at % x), (unsigned)(at / x % y), (unsigned)(at / x / y)};
    if (!run_block(order)) return E.fault;
  }
  return "";
}

} // namespace cusim
