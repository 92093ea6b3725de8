// Weights of a dense layer from int32 to the fragments of gibbs.cu. The weight
// of input i and unit u is w[i·input_stride + u·unit_stride].
#include "device.h"

// Digits of the weights of one block of couplings, whose inputs are those of
// steps step0 on: one register of a fragment for each thread. A digit is what
// remains after the lower ones, to nearest, as a signed byte.
KERNEL(256, 2, pack_digits, const int *w, u32 *to, int inputs, int units, i64 input_stride, i64 unit_stride, int step0, int block_steps, int steps,
       int digits, int pairs, i64 count) {
  i64 n = (i64)blockIdx.x * 256 + threadIdx.x;
  if (n >= count) return;
  const int j = (int)(n & 3), lane = (int)(n >> 2 & 31), g = lane >> 2, q = lane & 3;
  n >>= 7;
  const int pair = (int)(n % pairs);
  n /= pairs;
  const int digit = (int)(n % digits);
  n /= digits;
  const int step = (int)(n % block_steps);
  const i64 tile = n / block_steps;
  const i64 unit = (tile * pairs + pair) * 16 + (g >> 1) * 4 + (j >> 1) * 2 + (g & 1);
  u32 x = 0;
  for (int i = 0; i < 4; i++) {
    const int input = 32 * step + 8 * i + 2 * q + (j & 1);
    if (input >= inputs || unit >= units) continue;
    i64 rest = w[input * input_stride + unit * unit_stride];
    for (int d = 0; d < digit; d++) rest = (rest - (signed char)rest) >> 8;
    x |= ((u32)rest & 255) << 8 * i;
  }
  to[((((tile * steps + step0 + step) * digits + digit) * pairs + pair) * 32 + lane) * 4 + j] = x;
}

enum { FOLD = 64 };

// bias[u] -= sum_i w of unit u, FOLD inputs for each thread.
KERNEL(128, 2, fold_weights, const int *w, u32 *bias, int inputs, int units, i64 input_stride, i64 unit_stride) {
  const int unit = blockIdx.x * 128 + threadIdx.x, from = blockIdx.y * FOLD;
  if (unit >= units) return;
  u32 sum = 0;
  for (int i = from; i < inputs && i < from + FOLD; i++) sum += (u32)w[i * input_stride + unit * unit_stride];
  add_u32(bias + unit, 0u - sum);
}
