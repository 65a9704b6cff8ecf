/* Vectors as wide as the machine's registers, for the C files beside this one: gcc's and clang's extensions, no intrinsics. */

#include <math.h>
#include <stdint.h>

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
#define INLINE static inline __attribute__((always_inline))

typedef float lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t whole __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

INLINE lanes splat(float x) { return x - (lanes){0}; }
INLINE lanes load(const float *x) { return *(const lanes *)x; }
INLINE void store(float *x, lanes y) { *(lanes *)x = y; }

/* Halves are put on each other: a chain of LANES sums would take as long as the loop before it. */
INLINE float total(lanes x) {
    float part[LANES];
    store(part, x);
    for (int n = LANES / 2; n; n /= 2)
        for (int i = 0; i < n; i++) part[i] += part[i + n];
    return part[0];
}

INLINE float highest(lanes x) {
    float part[LANES];
    store(part, x);
    for (int n = LANES / 2; n; n /= 2)
        for (int i = 0; i < n; i++) part[i] = part[i] > part[i + n] ? part[i] : part[i + n];
    return part[0];
}

INLINE lanes larger(lanes x, lanes y) {
    whole more = x > y;
    return (lanes)(((whole)x & more) | ((whole)y & ~more));
}

/* e^x within 2 units in the last place; below -87 it is e^-87. */
INLINE lanes exponential(lanes x) {
    const float round_to_whole = 12582912.0f; /* 1.5 x 2^23: adding it leaves the nearest whole number in the mantissa */
    x = larger(x, splat(-87.0f));
    x = -larger(-x, splat(-88.0f));
    lanes shifted = x * splat(1.44269504f) + splat(round_to_whole);
    whole power = (whole)shifted - (whole)splat(round_to_whole);
    lanes number = shifted - splat(round_to_whole);
    lanes rest = x - number * splat(0.693359375f) + number * splat(2.12194440e-4f);
    lanes p = splat(1.9875691500e-4f);
    p = p * rest + splat(1.3981999507e-3f);
    p = p * rest + splat(8.3334519073e-3f);
    p = p * rest + splat(4.1665795894e-2f);
    p = p * rest + splat(1.6666665459e-1f);
    p = p * rest + splat(5.0000001201e-1f);
    p = p * rest * rest + rest + splat(1.0f);
    return (lanes)((whole)p + (power << 23));
}
