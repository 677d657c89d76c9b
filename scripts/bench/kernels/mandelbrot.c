/* How soon points leave the Mandelbrot set. */
#include <stdio.h>

int main(void) {
  long sum = 0;
  for (int i = 0; i < 300; i++)
    for (int j = 0; j < 300; j++) {
      double cx = -2 + 3.0 * j / 300, cy = -1.5 + 3.0 * i / 300, x = 0, y = 0;
      int n = 0;
      while (n < 2000 && x * x + y * y < 4) {
        double t = x * x - y * y + cx;
        y = 2 * x * y + cy;
        x = t;
        n++;
      }
      sum += n;
    }
  printf("%ld\n", sum);
  return 0;
}
