// The device language of kernels/cuda/device.h in C++: every CUDA thread is a
// fiber, and what a warp does together is done when all its lanes have come.
#pragma once
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#define __device__
#define __forceinline__ inline
#define DEVICE static inline

struct Dim3 {
  unsigned x, y, z;
};
extern __thread Dim3 threadIdx, blockIdx, gridDim;

namespace cusim {

void sync_threads();
void *shared(size_t bytes); // the block's shared memory, the same for all its threads

enum Collective { EXCHANGE, MULTIPLY };
// Waits for every lane of the warp at the same kind of collective. EXCHANGE
// leaves every lane's value in exchanged(), MULTIPLY has the warp's product
// added to every lane's Fragment when it returns.
void collective(Collective kind, uint64_t value);
const uint64_t *exchanged();
unsigned lane();
struct Fragment {
  int *d;
  const unsigned *a;
  unsigned b0, b1;
};

// Copies to shared memory happen at the wait and not before: until then the
// destination holds poison.
void copy_async16(void *to, const void *from);
void copy_commit();
void copy_wait(unsigned groups_left);

extern std::atomic<uint64_t> spin_bytes;

typedef void (*Invoke)(void **parameters);
bool add_kernel(const char *name, Invoke invoke, int parameters, unsigned threads);
template <auto F> struct Kernel;
template <class... A, void (*F)(A...)> struct Kernel<F> {
  static_assert(((sizeof(A) <= 8) && ...), "a kernel's parameter has at most eight bytes");
  template <size_t... I> static void call(void **p, std::index_sequence<I...>) { F(*(A *)p[I]...); }
  static void invoke(void **p) { call(p, std::index_sequence_for<A...>{}); }
  static bool add(const char *name, unsigned threads) { return add_kernel(name, invoke, sizeof...(A), threads); }
};

} // namespace cusim

#define KERNEL(threads, blocks, name, ...)                                        \
  extern "C" void name(__VA_ARGS__);                                              \
  static const bool added_##name = cusim::Kernel<&name>::add(#name, threads);     \
  extern "C" void name(__VA_ARGS__)
#define SHARED(type, name, n) type *name = (type *)cusim::shared(sizeof(type) * (n))
#define __syncthreads() cusim::sync_threads()

DEVICE void sync_warp() { cusim::collective(cusim::EXCHANGE, 0); }
DEVICE u32 shuffle_xor(u32 x, u32 lanes) {
  cusim::collective(cusim::EXCHANGE, x);
  return (u32)cusim::exchanged()[cusim::lane() ^ lanes];
}
DEVICE int popcount(u32 x) { return __builtin_popcount(x); }
DEVICE int first_bit(u64 x) { return __builtin_ctzll(x); }
DEVICE void add_u64(u64 *to, u64 x) { __atomic_fetch_add(to, x, __ATOMIC_RELAXED); }
DEVICE void add_u32(u32 *to, u32 x) { __atomic_fetch_add(to, x, __ATOMIC_RELAXED); }
template <class T> DEVICE void put_spins(u32 bits, T *to) { *to = (T)bits, cusim::spin_bytes.fetch_add(sizeof(T), std::memory_order_relaxed); }
DEVICE void add_shared(u32 *to, u32 x) { *to += x; }
DEVICE void min_s32(int *to, int x) {
  for (int old = *to; x < old && !__atomic_compare_exchange_n(to, &old, x, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);) {}
}
DEVICE void max_s32(int *to, int x) {
  for (int old = *to; x > old && !__atomic_compare_exchange_n(to, &old, x, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);) {}
}
DEVICE double fma_double(double a, double b, double c) { return fma(a, b, c); }
DEVICE double round_to_even(double x) { return rint(x); }
DEVICE double abs_double(double x) { return fabs(x); }
DEVICE void mma_s8(int d[4], const u32 a[4], u32 b0, u32 b1) {
  cusim::Fragment f = {d, a, b0, b1};
  cusim::collective(cusim::MULTIPLY, (uint64_t)&f);
}
DEVICE void copy_async16(void *to, const void *from) { cusim::copy_async16(to, from); }
DEVICE void copy_commit() { cusim::copy_commit(); }
template <int N> static inline void copy_wait() { cusim::copy_wait(N); }
DEVICE u32 byte_perm(u32 a, u32 b, u32 selector) {
  u64 v = (u64)b << 32 | a;
  u32 r = 0;
  for (int i = 0; i < 4; i++) r |= (u32)(v >> 8 * (selector >> 4 * i & 7) & 255) << 8 * i;
  return r;
}
DEVICE float as_float(u32 x) {
  float f;
  memcpy(&f, &x, 4);
  return f;
}
DEVICE u32 shift_in_sign(u32 bits, float x) { return bits << 1 | (u32)std::signbit(x); }
// A relative error that bends the exponential as far as a GPU's may be bent,
// and further.
#ifndef CUSIM_EX2_ERROR
#define CUSIM_EX2_ERROR 0.0f
#endif
DEVICE float exp2_approx(float x) {
  float y = exp2f(x) * (1.0f + CUSIM_EX2_ERROR);
  return y < 1.17549435e-38f ? 0.0f : y;
}
DEVICE float min_float(float a, float b) { return fminf(a, b); }
DEVICE float abs_float(float a) { return fabsf(a); }
DEVICE float fma_float(float a, float b, float c) { return fmaf(a, b, c); }
