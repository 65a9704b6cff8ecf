/* What a decoder layer does between its products, forward and backward, one pass over memory each.

   fused.py says what the arguments are. Numbers are float32 or bfloat16 in memory and float32 in between; a number that
   is rounded to bfloat16 is rounded once. */

#include "numbers.h"

enum { MOST = 16384, STRETCH = 1024 };

INLINE float inverse_rms(const float *x, int64_t n, float epsilon) {
    return 1.0f / sqrtf(dot(x, x, 0, n) / (float)n + epsilon);
}

/* y = x * scale * weight. */
INLINE void scaled(const float *x, float scale, const float *weight, float *y, int64_t n) {
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) store(y + i, load(x + i) * splat(scale) * load(weight + i));
    for (; i < n; i++) y[i] = x[i] * scale * weight[i];
}

/* The gradient of x / rms(x) * weight: to dx, and to weight, added to dweight where that is not NULL. */
INLINE void norm_gradient(const float *g, const float *x, const float *weight, int64_t n, float epsilon, float *dx,
                          float *dweight) {
    const float scale = inverse_rms(x, n, epsilon);
    const float pull = dot(g, weight, x, n) * scale * scale * scale / (float)n;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        const lanes gradient = load(g + i), at = load(x + i);
        if (dweight) store(dweight + i, load(dweight + i) + gradient * at * splat(scale));
        store(dx + i, gradient * load(weight + i) * splat(scale) - at * splat(pull));
    }
    for (; i < n; i++) {
        const float gradient = g[i], at = x[i];
        if (dweight) dweight[i] += gradient * at * scale;
        dx[i] = gradient * weight[i] * scale - at * pull;
    }
}

/* y [rows, n] = x / rms(x) * weight. */
void norm(const void *x, int x_type, const float *weight, void *y, int y_type, int64_t rows, int64_t n, float epsilon) {
    float wide[MOST], made[MOST];
    for (int64_t r = 0; r < rows; r++) {
        const float *from = widened(x, r * n, n, x_type, wide);
        float *to = place_for(y, r * n, y_type, made);
        const float scale = inverse_rms(from, n, epsilon);
        scaled(from, scale, weight, to, n);
        finished(to, n, y, r * n, y_type);
    }
}

void norm_backward(const void *g, int g_type, const void *x, int x_type, const float *weight, void *dx, float *dweight,
                   int64_t rows, int64_t n, float epsilon) {
    float g_wide[MOST], x_wide[MOST], made[MOST];
    for (int64_t r = 0; r < rows; r++) {
        const float *from = widened(g, r * n, n, g_type, g_wide), *at = widened(x, r * n, n, x_type, x_wide);
        float *to = place_for(dx, r * n, x_type, made);
        norm_gradient(from, at, weight, n, epsilon, to, dweight);
        finished(to, n, dx, r * n, x_type);
    }
}

/* y = silu(gate) * up, n numbers. */
void gate(const void *gates, const void *up, void *y, int type, int64_t n) {
    float gate_wide[STRETCH], up_wide[STRETCH], made[STRETCH];
    for (int64_t at = 0; at < n; at += STRETCH) {
        const int64_t count = n - at < STRETCH ? n - at : STRETCH;
        const float *a = widened(gates, at, count, type, gate_wide), *b = widened(up, at, count, type, up_wide);
        float *to = place_for(y, at, type, made);
        int64_t i = 0;
        for (; i + LANES <= count; i += LANES) {
            const lanes x = load(a + i);
            store(to + i, x / (splat(1) + exponential(-x)) * load(b + i));
        }
        for (; i < count; i++) to[i] = a[i] / (1 + expf(-a[i])) * b[i];
        finished(to, count, y, at, type);
    }
}

void gate_backward(const void *g, const void *gates, const void *up, void *dgates, void *dup, int type, int64_t n) {
    float g_wide[STRETCH], gate_wide[STRETCH], up_wide[STRETCH], made_gate[STRETCH], made_up[STRETCH], slope[STRETCH];
    for (int64_t at = 0; at < n; at += STRETCH) {
        const int64_t count = n - at < STRETCH ? n - at : STRETCH;
        const float *from = widened(g, at, count, type, g_wide), *a = widened(gates, at, count, type, gate_wide);
        const float *b = widened(up, at, count, type, up_wide);
        float *to_gate = place_for(dgates, at, type, made_gate), *to_up = place_for(dup, at, type, made_up);
        int64_t i = 0;
        for (; i + LANES <= count; i += LANES) store(slope + i, splat(1) / (splat(1) + exponential(-load(a + i))));
        for (; i < count; i++) slope[i] = 1 / (1 + expf(-a[i]));
        for (i = 0; i + LANES <= count; i += LANES) {
            const lanes pull = load(from + i) * load(slope + i), x = load(a + i);
            store(to_gate + i, pull * load(b + i) * (splat(1) + x * (splat(1) - load(slope + i))));
            store(to_up + i, pull * x);
        }
        for (; i < count; i++) {
            to_gate[i] = from[i] * slope[i] * b[i] * (1 + a[i] * (1 - slope[i]));
            to_up[i] = from[i] * slope[i] * a[i];
        }
        finished(to_gate, count, dgates, at, type);
        finished(to_up, count, dup, at, type);
    }
}

/* The halves of x turned against each other: y = low c - high s, high c + low s; y is not x. */
INLINE void rotated(const float *x, const float *c, const float *s, float *y, int64_t half) {
    int64_t i = 0;
    for (; i + LANES <= half; i += LANES) {
        const lanes low = load(x + i), high = load(x + half + i);
        store(y + i, low * load(c + i) - high * load(s + i));
        store(y + half + i, high * load(c + half + i) + low * load(s + half + i));
    }
    for (; i < half; i++) {
        y[i] = x[i] * c[i] - x[i + half] * s[i];
        y[i + half] = x[i + half] * c[i + half] + x[i] * s[i + half];
    }
}

/* The gradient of that; y is not g. */
INLINE void rotated_back(const float *g, const float *c, const float *s, float *y, int64_t half) {
    int64_t i = 0;
    for (; i + LANES <= half; i += LANES) {
        const lanes low = load(g + i), high = load(g + half + i);
        store(y + i, low * load(c + i) + high * load(s + half + i));
        store(y + half + i, high * load(c + half + i) - low * load(s + i));
    }
    for (; i < half; i++) {
        y[i] = g[i] * c[i] + g[i + half] * s[i + half];
        y[i + half] = g[i + half] * c[i + half] - g[i] * s[i];
    }
}

/* y [tokens, heads, width]: each head normed where weight is not NULL, then its halves turned against each other by
   the token's angles, cosine and sine [tokens, width]. */
void turn(const void *x, int x_type, const float *weight, const float *cosine, const float *sine, void *y, int y_type,
          int64_t tokens, int64_t heads, int64_t width, float epsilon) {
    float wide[MOST], normed[MOST], made[MOST];
    const int64_t row = heads * width;
    for (int64_t t = 0; t < tokens; t++) {
        const float *from = widened(x, t * row, row, x_type, wide);
        float *to = place_for(y, t * row, y_type, made);
        for (int64_t at = 0; at < row; at += width) {
            const float *head = from + at;
            if (weight) scaled(head, inverse_rms(head, width, epsilon), weight, normed, width), head = normed;
            rotated(head, cosine + t * width, sine + t * width, to + at, width / 2);
        }
        finished(to, row, y, t * row, y_type);
    }
}

void turn_backward(const void *g, int g_type, const void *x, int x_type, const float *weight, const float *cosine,
                   const float *sine, void *dx, float *dweight, int64_t tokens, int64_t heads, int64_t width,
                   float epsilon) {
    float g_wide[MOST], x_wide[MOST], back[MOST], made[MOST];
    const int64_t row = heads * width;
    for (int64_t t = 0; t < tokens; t++) {
        const float *from = widened(g, t * row, row, g_type, g_wide);
        const float *source = weight ? widened(x, t * row, row, x_type, x_wide) : 0;
        float *to = place_for(dx, t * row, x_type, made);
        for (int64_t at = 0; at < row; at += width) {
            rotated_back(from + at, cosine + t * width, sine + t * width, weight ? back : to + at, width / 2);
            if (weight) norm_gradient(back, source + at, weight, width, epsilon, to + at, dweight);
        }
        finished(to, row, dx, t * row, x_type);
    }
}
