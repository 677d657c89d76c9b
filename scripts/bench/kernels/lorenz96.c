/* Lorenz's model of 1996 with 40 places, by Runge and Kutta's method. */
#include <stdio.h>

enum { N = 40, STEPS = 600000 };

static void slope(const double *x, double *d) {
  for (int i = 0; i < N; i++) d[i] = (x[(i + 1) % N] - x[(i + N - 2) % N]) * x[(i + N - 1) % N] - x[i] + 8;
}

static void add(const double *x, const double *d, double f, double *to) {
  for (int i = 0; i < N; i++) to[i] = x[i] + f * d[i];
}

int main(void) {
  double x[N], k1[N], k2[N], k3[N], k4[N], y[N], sum = 0, dt = 0.01;
  for (int i = 0; i < N; i++) x[i] = 8 + (i == 20) * 0.01;
  for (int t = 0; t < STEPS; t++) {
    slope(x, k1);
    add(x, k1, dt / 2, y);
    slope(y, k2);
    add(x, k2, dt / 2, y);
    slope(y, k3);
    add(x, k3, dt, y);
    slope(y, k4);
    for (int i = 0; i < N; i++) x[i] += dt / 6 * (k1[i] + 2 * k2[i] + 2 * k3[i] + k4[i]);
    sum += x[0];
  }
  printf("%.17g\n", sum);
  return 0;
}
