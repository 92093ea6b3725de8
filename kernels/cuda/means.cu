// Half a step of mean-field iteration, in float64: for each chain and unit a
//
//   out[a] = tanh((bias[a] + sum_i w[i][a] x[i]) unit)
//
// the sum one chain of fused multiply-adds in the order of i. Chains come in
// panels of 16: x [panel][i][16], out [panel][a][16]. A block is a panel and
// every gridDim.y-th tile of 64 units.
#include "product.h"

KERNEL(128, 4, mean_field, const double *w, const double *bias, const double *x, double *out, int units, int inputs, double unit) {
  SHARED(Ring<double>, ring, 1);
  const u64 panel = blockIdx.x;
  out += panel * units * COLUMNS;
  product<double, double, 4>(
      ring, w, x + panel * inputs * COLUMNS, units, inputs, ROWS * blockIdx.y, ROWS * gridDim.y,
      [&](int row, int, double(&acc)[4][2]) {
#pragma unroll
        for (int i = 0; i < 4; i++) acc[i][0] = acc[i][1] = row + i < units ? bias[row + i] : 0.0;
      },
      [](double &acc, int, int, double a, double b) { acc = fma_double(a, b, acc); },
      [&](int, int row, int column, double(&acc)[4][2]) {
#pragma unroll
        for (int i = 0; i < 4; i++)
#pragma unroll
          for (int j = 0; j < 2; j++)
            if (row + i < units) out[(row + i) * COLUMNS + column + j] = tanh_double(acc[i][j] * unit);
      });
}
