/* Shallow water on a torus: three fields, each step reads neighbours and stores. */
#include <stdio.h>

enum { N = 192, STEPS = 2500 };
static double h[N][N], u[N][N], v[N][N], a[N][N], b[N][N], c[N][N];

static void step(double dt) {
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      int n = (i + 1) % N, s = (i + N - 1) % N, e = (j + 1) % N, w = (j + N - 1) % N;
      a[i][j] = u[i][j] - dt * (h[n][j] - h[s][j]) + dt * 0.1 * v[i][j];
      b[i][j] = v[i][j] - dt * (h[i][e] - h[i][w]) - dt * 0.1 * u[i][j];
      c[i][j] = h[i][j] - dt * (u[n][j] - u[s][j] + v[i][e] - v[i][w]);
    }
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      u[i][j] = a[i][j];
      v[i][j] = b[i][j];
      h[i][j] = c[i][j];
    }
}

int main(void) {
  double sum = 0;
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) h[i][j] = (i - N / 2) * (i - N / 2) + (j - N / 2) * (j - N / 2) < 100 ? 1 : 0;
  for (int t = 0; t < STEPS; t++) step(0.05);
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) sum += h[i][j] * h[i][j];
  printf("%.17g\n", sum);
  return 0;
}
