/* Runs a TestU01 battery on standard input: testu01 small|crush|big|rabbit NAME,
   or the tests FIRST to LAST of Crush: testu01 crush NAME FIRST LAST.
   cc -O2 testu01.c -ltestu01 -lprobdist -lmylib -lm */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "bbattery.h"
#include "unif01.h"

static unsigned int buffer[1 << 16];
static size_t used = 1 << 16;

static unsigned int next(void) {
  if (used == 1 << 16) {
    if (fread(buffer, 4, 1 << 16, stdin) != 1 << 16) {
      fprintf(stderr, "testu01: standard input ended\n");
      exit(1);
    }
    used = 0;
  }
  return buffer[used++];
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  unif01_Gen *gen = unif01_CreateExternGenBits(argv[2], next);
  if (!strcmp(argv[1], "small")) bbattery_SmallCrush(gen);
  else if (!strcmp(argv[1], "crush") && argc == 5) {
    int repeat[200] = {0};
    for (int k = atoi(argv[3]); k <= atoi(argv[4]) && k < 200; k++) repeat[k] = 1;
    bbattery_RepeatCrush(gen, repeat);
  } else if (!strcmp(argv[1], "crush")) bbattery_Crush(gen);
  else if (!strcmp(argv[1], "big")) bbattery_BigCrush(gen);
  else if (!strcmp(argv[1], "rabbit")) bbattery_Rabbit(gen, 1073741824.0);
  else return 2;
  return 0;
}
