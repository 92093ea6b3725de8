// The 16-bit filter of rule.h may never contradict the rule: where it says that
// it is sure, the rule decides alike for both extremes of the low 16 bits. Takes
// the number of fields to try and the file of the table, spin/sigmoid.bin.
// CUSIM_EX2_ERROR bends the exponential.
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "rule.h"

static u64 state = 1;
static u64 next() {
  state += 0x9E3779B97F4A7C15ull;
  u64 z = state;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
  z = (z ^ z >> 27) * 0x94D049BB133111EBull;
  return z ^ z >> 31;
}

int main(int argc, char **argv) {
  if (argc != 3) return fprintf(stderr, "filter_test FIELDS TABLE\n"), 2;
  std::vector<u32> table((12 << 11) + 2);
  FILE *f = fopen(argv[2], "rb");
  if (!f || fread(table.data(), 4, table.size(), f) != table.size()) return fprintf(stderr, "%s: not the table\n", argv[2]), 2;
  fclose(f);
  const u64 cold = ~0ull;
  u64 draws = 0, unsure = 0, wrong = 0;
  for (long n = atol(argv[1]), i = 0; i < n; i++) {
    const int frac = 11 + (int)(next() % 13);
    const u64 beta = i % 16 == 0 ? cold : i % 16 == 1 ? 1ull << 32 : i % 16 == 2 ? 0 : i % 16 < 8 ? 1 << 24 : next() >> (31 + next() % 24);
    // A field whose x is spread over 0 to 14, or any.
    const double x = (double)(next() >> 11) * 0x1p-53 * 14, scaled = beta && beta != cold ? x * 0x1p24 * exp2(frac) / (double)beta : 0;
    int a = i % 32 < 28 && scaled < 2.1e9 ? (int)scaled : (int)next();
    if (i % 64 == 0) a = (int)(next() % 3) - 1;
    if ((next() & 1) && a != INT32_MIN) a = -a;
    if (a == INT32_MIN) a++;
    u64 low = 0, high = 1ull << 32; // the smallest draw that the rule refuses, which is monotonic
    while (low < high) {
      u64 middle = (low + high) / 2;
      if (up(a, (u32)middle, beta, frac, table.data())) low = middle + 1;
      else high = middle;
    }
    const int threshold = (int)((low > 0xFFFFFFFF ? 0xFFFFFFFF : low) >> 16);
    for (int d = -4; d <= 4; d++) {
      const int u = d == 4 ? 0 : d == -4 ? 65535 : threshold + d;
      if (u < 0 || u > 65535) continue;
      for (int half = 0; half < 2; half++) {
        bool sure = true;
        const u32 other = (u32)(next() & 0xFFFF);
        const bool plus = decide(a, half ? (u32)u << 16 | other : other << 16 | (u32)u, half, slope(beta, frac), sure) < 0;
        draws++, unsure += !sure;
        wrong += sure && (plus != up(a, (u32)u << 16, beta, frac, table.data()) || plus != up(a, (u32)u << 16 | 0xFFFF, beta, frac, table.data()));
      }
    }
  }
  printf("filter: %llu draws beside the threshold, %llu left to the rule, %llu wrong\n", draws, unsure, wrong);
  return wrong != 0;
}
