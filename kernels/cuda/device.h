// The device language of the kernels: clang's NVPTX target without a CUDA
// toolkit, or, with CUSIM, C++ under the simulated driver of backend/cuda/sim.
//
//   KERNEL(threads, blocks, name, parameters...) { body }
//
// defines a kernel that is launched with exactly `threads` threads a block and
// of which `blocks` blocks fit on a multiprocessor. Parameters are at most
// eight bytes each. SHARED(type, name, n) is a kernel's one array of shared
// memory, aligned to 16 bytes.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned u32;
typedef unsigned long long u64;
typedef long long i64;
typedef u32 U4 __attribute__((vector_size(16)));

#ifdef CUSIM
#include "cusim.h"
#else

#define __device__ __attribute__((device))
#define __global__ __attribute__((global))
#define __shared__ __attribute__((shared))
#define __forceinline__ __inline__ __attribute__((always_inline))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
#include <__clang_cuda_builtin_vars.h>

#define KERNEL(threads, blocks, name, ...) extern "C" __global__ __launch_bounds__(threads, blocks) void name(__VA_ARGS__)
#define SHARED(type, name, n) __shared__ __attribute__((aligned(16))) type name[n]
#define DEVICE static __device__ __forceinline__

DEVICE void sync_warp() { __nvvm_bar_warp_sync(~0u); }
DEVICE u32 shuffle_xor(u32 x, u32 lanes) { return (u32)__nvvm_shfl_sync_bfly_i32(~0u, (int)x, (int)lanes, 31); }
DEVICE int popcount(u32 x) { return __builtin_popcount(x); }
DEVICE int first_bit(u64 x) { return __builtin_ctzll(x); } // of x > 0
DEVICE void add_u64(u64 *to, u64 x) { asm volatile("red.global.add.u64 [%0], %1;" ::"l"(to), "l"(x) : "memory"); }
DEVICE void add_u32(u32 *to, u32 x) { asm volatile("red.global.add.u32 [%0], %1;" ::"l"(to), "r"(x) : "memory"); }

// Writes new spins to global memory; the simulated driver counts their bytes.
template <class T> DEVICE void put_spins(u32 bits, T *to) { *to = (T)bits; }
DEVICE void add_shared(u32 *to, u32 x) {
  u32 shared = (u32)(u64)(__attribute__((address_space(3))) void *)to;
  asm volatile("red.shared.add.u32 [%0], %1;" ::"r"(shared), "r"(x) : "memory");
}
DEVICE void min_s32(int *to, int x) { asm volatile("red.global.min.s32 [%0], %1;" ::"l"(to), "r"(x) : "memory"); }
DEVICE void max_s32(int *to, int x) { asm volatile("red.global.max.s32 [%0], %1;" ::"l"(to), "r"(x) : "memory"); }
DEVICE double fma_double(double a, double b, double c) { return __builtin_fma(a, b, c); }
DEVICE double round_to_even(double x) { return __builtin_rint(x); }
DEVICE double abs_double(double x) { return __builtin_fabs(x); }

// d += A B for 16×32 and 32×8 signed bytes; the 32-bit sums wrap.
DEVICE void mma_s8(int d[4], const u32 a[4], u32 b0, u32 b1) {
  asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
               : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Copies 16 bytes from global to shared memory; they are there after a wait.
DEVICE void copy_async16(void *to, const void *from) {
  u32 shared = (u32)(u64)(__attribute__((address_space(3))) void *)to;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared), "l"(from) : "memory");
}
DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most N of this thread's groups of copies are under way.
template <int N> DEVICE void copy_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }

DEVICE u32 byte_perm(u32 a, u32 b, u32 selector) {
  u32 d;
  asm("prmt.b32 %0,%1,%2,%3;" : "=r"(d) : "r"(a), "r"(b), "r"(selector));
  return d;
}
DEVICE float as_float(u32 x) { return __builtin_bit_cast(float, x); }
// bits << 1 with the sign of x below.
DEVICE u32 shift_in_sign(u32 bits, float x) {
  u32 d;
  asm("shf.l.wrap.b32 %0,%1,%2,1;" : "=r"(d) : "r"(__builtin_bit_cast(u32, x)), "r"(bits));
  return d;
}
// 2^x with a relative error of at most 2^-22.
DEVICE float exp2_approx(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0,%1;" : "=f"(y) : "f"(x));
  return y;
}
DEVICE float min_float(float a, float b) { return __builtin_fminf(a, b); }
DEVICE float abs_float(float a) { return __builtin_fabsf(a); }
DEVICE float fma_float(float a, float b, float c) { return __builtin_fmaf(a, b, c); }

#endif
