// Between the simulated driver and the engine that runs its launches.
#pragma once
#include <atomic>
#include <cstdint>
#include <string>

namespace cusim {

typedef void (*Invoke)(void **parameters);

// Which warp runs next, and how far; and in which order blocks do.
struct Schedule {
  enum Kind {
    IN_STEP, // all warps from one collective to the next
    FIRST,   // each as far as it gets, first warp first
    LAST,    // the same, last warp and last block first
    RANDOM   // any warp, a few collectives far, and any block
  } kind = IN_STEP;
  uint64_t seed = 0;
};

// Runs every block of a launch; returns what went wrong, or nothing.
std::string run_grid(Invoke invoke, void **parameters, unsigned threads, unsigned x, unsigned y, unsigned z, const Schedule &schedule);

// Bytes of spins that put_spins has written.
extern std::atomic<uint64_t> spin_bytes;

// Whether n bytes at p lie inside one allocation.
bool allocated(uint64_t p, size_t n);

} // namespace cusim
