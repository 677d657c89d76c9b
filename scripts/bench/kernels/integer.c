/* A sieve and a hash: no floats at all. */
#include <stdint.h>
#include <stdio.h>

enum { N = 4000000 };
static uint8_t composite[N];

int main(void) {
  uint32_t hash = 2166136261u, count = 0;
  for (int round = 0; round < 4; round++) {
    for (int i = 0; i < N; i++) composite[i] = 0;
    for (int i = 2; i < N; i++) {
      if (composite[i]) continue;
      count++;
      for (long j = (long)i * 2; j < N; j += i) composite[j] = 1;
    }
    for (int i = 0; i < N; i++) hash = (hash ^ composite[i]) * 16777619u;
    for (uint32_t i = 1; i < 4000000; i++) hash ^= (hash >> (i & 15)) + (uint32_t)__builtin_popcount(i);
  }
  printf("%u %u\n", count, hash);
  return 0;
}
