/* The functions of a mathematical library. */
#include <math.h>
#include <stdio.h>

int main(void) {
  double sum = 0;
  for (int i = 1; i <= 10000000; i++) {
    double x = i * 1e-3;
    sum += sin(x) * exp(-x * 1e-3) + sqrt(x) * cos(x * 0.5) + atan2(x, i & 7);
  }
  printf("%.17g\n", sum);
  return 0;
}
