/* Numbers in memory, float32 or bfloat16, as the float32 that is computed with. */

#include "lanes.h"

enum { FLOAT32, BFLOAT16 };

typedef uint32_t bits __attribute__((may_alias));
typedef uint16_t half_lanes __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
typedef uint32_t bit_lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

/* n numbers as float32: where they lie, or in `room`. */
INLINE const float *widened(const void *from, int64_t at, int64_t n, int type, float *room) {
    if (type == FLOAT32) return (const float *)from + at;
    const uint16_t *half = (const uint16_t *)from + at;
    bits *to = (bits *)room;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        *(bit_lanes *)(to + i) = __builtin_convertvector(*(const half_lanes *)(half + i), bit_lanes) << 16;
    for (; i < n; i++) to[i] = (uint32_t)half[i] << 16;
    return room;
}

/* Where n results may be made before `finished` puts them in place. */
INLINE float *place_for(void *to, int64_t at, int type, float *room) {
    return type == FLOAT32 ? (float *)to + at : room;
}

INLINE void finished(const float *made, int64_t n, void *to, int64_t at, int type) {
    if (type == FLOAT32) return;
    uint16_t *half = (uint16_t *)to + at;
    const bits *from = (const bits *)made;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const bit_lanes x = *(const bit_lanes *)(from + i), even = (x + 0x7fff + ((x >> 16) & 1)) >> 16;
        const bit_lanes is_nan = (bit_lanes)((x & 0x7fffffff) > 0x7f800000);
        *(half_lanes *)(half + i) = __builtin_convertvector((((x >> 16) | 0x40) & is_nan) | (even & ~is_nan), half_lanes);
    }
    for (; i < n; i++) {
        const uint32_t x = from[i], even = (x + 0x7fff + ((x >> 16) & 1)) >> 16;
        half[i] = (uint16_t)((x & 0x7fffffff) > 0x7f800000 ? (x >> 16) | 0x40 : even); /* not a number stays so */
    }
}

/* The sum of x[i] y[i] z[i]; z may be NULL. */
INLINE float dot(const float *x, const float *y, const float *z, int64_t n) {
    lanes sum = splat(0);
    float rest = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) sum += load(x + i) * load(y + i) * (z ? load(z + i) : splat(1));
    for (; i < n; i++) rest += x[i] * y[i] * (z ? z[i] : 1);
    return total(sum) + rest;
}
