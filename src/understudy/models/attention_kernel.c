/* Causal attention of many short sequences that stand one after another, forward and backward, in one call.

   attention_native.py says what the arguments are. A tile of query rows meets all keys that it may see: scores, their
   softmax and the mixed values are made in the cache, so nothing of [length, length] is ever kept. Numbers are float32
   or bfloat16 in memory and float32 in between. A row's sums are taken in an order that depends on its place in its
   own sequence alone. */

#include "numbers.h"

#include <string.h>

/* A tile of ROWS x 2 sums, two weights and one input fill the registers. UNIT: a multiple of ROWS and of PANEL. */
#if LANES == 16
enum { ROWS = 12, UNIT = 96 };
#elif LANES == 8
enum { ROWS = 6, UNIT = 48 };
#else
enum { ROWS = 8, UNIT = 8 };
#endif
enum { PANEL = 2 * LANES, BLOCK = 2 * ROWS };

/* query, and what is made: [tokens, heads, width]; key, value: [tokens, groups, width]. Steps are counted in numbers,
   from a token to the next and from a head to the next; what is made is contiguous. */
typedef struct {
    int64_t heads, groups, width;
    int64_t query_token, query_head, key_token, key_head, value_token, value_head;
    int type;
    float scale;
} shape;

INLINE int64_t up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }
INLINE int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

/* y [ROWS, PANEL] = x w, or y += x w; x (row, depth) lies at row * x_row + depth * x_depth, w (depth, column) at
   depth * w_depth + column. */
INLINE void tile(const float *x, int64_t x_row, int64_t x_depth, int64_t depth, const float *w, int64_t w_depth,
                 float *y, int64_t y_row, int add) {
    lanes sum[ROWS][2];
#pragma GCC unroll 12
    for (int r = 0; r < ROWS; r++) {
        sum[r][0] = add ? load(y + r * y_row) : splat(0);
        sum[r][1] = add ? load(y + r * y_row + LANES) : splat(0);
    }
    for (int64_t k = 0; k < depth; k++) {
        const lanes low = load(w + k * w_depth), high = load(w + k * w_depth + LANES);
#pragma GCC unroll 12
        for (int r = 0; r < ROWS; r++) {
            const lanes value = splat(x[r * x_row + k * x_depth]);
            sum[r][0] += value * low;
            sum[r][1] += value * high;
        }
    }
#pragma GCC unroll 12
    for (int r = 0; r < ROWS; r++) {
        store(y + r * y_row, sum[r][0]);
        store(y + r * y_row + LANES, sum[r][1]);
    }
}

/* The same for as many columns, up to whole panels. */
INLINE void multiply(const float *x, int64_t x_row, int64_t x_depth, int64_t depth, const float *w, int64_t w_depth,
                     int64_t columns, float *y, int64_t y_row, int add) {
    for (int64_t at = 0; at < columns; at += PANEL)
        tile(x, x_row, x_depth, depth, w + at, w_depth, y + at, y_row, add);
}

/* Rows of a head, from `first` on, times scale, [count, wide] with zeros past the width and past `length`. */
static void rows_of(const void *from, int64_t at, int64_t token, int type, int64_t first, int64_t count, int64_t length,
                    int64_t width, int64_t wide, float scale, float *to) {
    float room[width];
    for (int64_t r = 0; r < count; r++, to += wide) {
        int64_t i = 0;
        if (first + r < length) {
            const float *x = widened(from, at + (first + r) * token, width, type, room);
            for (; i < width; i++) to[i] = x[i] * scale;
        }
        for (; i < wide; i++) to[i] = 0;
    }
}

/* The same turned round: [width, reserve], a column a token, zeros past the length. */
static void columns_of(const void *from, int64_t at, int64_t token, int type, int64_t length, int64_t width,
                       int64_t reserve, float *to) {
    float room[width];
    memset(to, 0, sizeof(float) * width * reserve);
    for (int64_t t = 0; t < length; t++) {
        const float *x = widened(from, at + t * token, width, type, room);
        for (int64_t i = 0; i < width; i++) to[i * reserve + t] = x[i];
    }
}

/* Scores past those that are seen do not count, up to a whole vector. */
INLINE void hide(float *scores, int64_t seen) {
    for (int64_t i = seen; i < up(seen, LANES); i++) scores[i] = -INFINITY;
}

/* e^(score - top) of the scores that are seen, zeros up to `end`; returns the sum. What is not a number stays so. */
INLINE float weighed(float *scores, int64_t seen, int64_t end, float top) {
    lanes sum = splat(0);
    for (int64_t i = 0; i < seen; i += LANES) {
        const lanes score = load(scores + i);
        const lanes made = exponential(score - splat(top)) + (score - score);
        const lanes weight = (lanes)((whole)made & (whole)(score != splat(-INFINITY)));
        store(scores + i, weight);
        sum += weight;
    }
    for (int64_t i = up(seen, LANES); i < end; i += LANES) store(scores + i, splat(0));
    return total(sum);
}

INLINE float largest(const float *scores, int64_t seen) {
    lanes most = splat(-INFINITY);
    for (int64_t i = 0; i < seen; i += LANES) most = larger(load(scores + i), most);
    return highest(most);
}

/* Numbers that a task needs for itself: the forward less than the backward. */
int64_t attention_scratch(int64_t width, int64_t longest) {
    const int64_t reserve = up(longest, UNIT), wide = up(width, PANEL);
    return 2 * width * reserve + 3 * reserve * wide + 2 * BLOCK * reserve + 4 * BLOCK * wide;
}

/* out [tokens, heads, width] of type; logsum [tokens, heads], of each row's scores. Task n: group n % groups of sequence
   n / groups, which begins at starts[n / groups]. */
void attention(const shape *s, const void *query, const void *key, const void *value, void *out, float *logsum,
               const int64_t *starts, int64_t first_task, int64_t num_tasks, float *scratch) {
    const int64_t width = s->width, wide = up(width, PANEL), shared = s->heads / s->groups;
    for (int64_t task = first_task; task < first_task + num_tasks; task++) {
        const int64_t start = starts[task / s->groups], length = starts[task / s->groups + 1] - start;
        const int64_t group = task % s->groups, reserve = up(length, UNIT);
        float *keys = scratch, *values = keys + width * reserve, *rows = values + reserve * wide;
        float *scores = rows + ROWS * wide, *mixed = scores + ROWS * reserve;
        columns_of(key, start * s->key_token + group * s->key_head, s->key_token, s->type, length, width, reserve, keys);
        rows_of(value, start * s->value_token + group * s->value_head, s->value_token, s->type, 0, length, length, width,
                wide, 1, values);
        for (int64_t head = group * shared; head < (group + 1) * shared; head++)
            for (int64_t t = 0; t < length; t += ROWS) {
                const int64_t stop = least(t + ROWS, length);
                rows_of(query, start * s->query_token + head * s->query_head, s->query_token, s->type, t, ROWS, length,
                        width, wide, s->scale, rows);
                multiply(rows, wide, 1, width, keys, reserve, stop, scores, reserve, 0);
                float inverse[ROWS];
                for (int64_t r = 0; r < ROWS; r++) {
                    const int64_t seen = least(t + r + 1, stop);
                    hide(scores + r * reserve, seen);
                    const float top = largest(scores + r * reserve, seen);
                    const float sum = weighed(scores + r * reserve, seen, stop, top);
                    inverse[r] = 1 / sum;
                    if (t + r < length) logsum[(start + t + r) * s->heads + head] = top + logf(sum);
                }
                multiply(scores, reserve, 1, stop, values, wide, wide, mixed, wide, 0);
                for (int64_t r = 0; r < stop - t; r++) {
                    const int64_t at = ((start + t + r) * s->heads + head) * width;
                    float *to = place_for(out, at, s->type, mixed + r * wide);
                    for (int64_t i = 0; i < width; i++) to[i] = mixed[r * wide + i] * inverse[r];
                    finished(to, width, out, at, s->type);
                }
            }
    }
}

INLINE void put(const float *made, int64_t n, float scale, void *to, int64_t at, int type, float *room) {
    float *place = place_for(to, at, type, room);
    for (int64_t i = 0; i < n; i++) place[i] = made[i] * scale;
    finished(place, n, to, at, type);
}

/* g, out, dquery [tokens, heads, width] and dkey, dvalue [tokens, groups, width]: contiguous, of type. */
void attention_backward(const shape *s, const void *g, const void *query, const void *key, const void *value,
                        const void *out, const float *logsum, void *dquery, void *dkey, void *dvalue,
                        const int64_t *starts, int64_t first_task, int64_t num_tasks, float *scratch) {
    const int64_t width = s->width, wide = up(width, PANEL), shared = s->heads / s->groups, row = s->heads * width;
    float one[width], other[width];
    for (int64_t task = first_task; task < first_task + num_tasks; task++) {
        const int64_t start = starts[task / s->groups], length = starts[task / s->groups + 1] - start;
        const int64_t group = task % s->groups, reserve = up(length, UNIT);
        float *keys = scratch, *values = keys + width * reserve, *key_rows = values + width * reserve;
        float *key_sums = key_rows + reserve * wide, *value_sums = key_sums + reserve * wide;
        float *weights = value_sums + reserve * wide, *slopes = weights + BLOCK * reserve;
        float *rows = slopes + BLOCK * reserve, *gs = rows + BLOCK * wide, *made = gs + BLOCK * wide;
        const int64_t key_at = start * s->key_token + group * s->key_head;
        const int64_t value_at = start * s->value_token + group * s->value_head;
        columns_of(key, key_at, s->key_token, s->type, length, width, reserve, keys);
        columns_of(value, value_at, s->value_token, s->type, length, width, reserve, values);
        rows_of(key, key_at, s->key_token, s->type, 0, length, length, width, wide, 1, key_rows);
        memset(key_sums, 0, sizeof(float) * 2 * reserve * wide);
        for (int64_t head = group * shared; head < (group + 1) * shared; head++)
            for (int64_t first = 0; first < length; first += BLOCK) {
                const int64_t last = least(first + BLOCK, length), end = up(last, ROWS);
                rows_of(query, start * s->query_token + head * s->query_head, s->query_token, s->type, first, BLOCK, length,
                        width, wide, s->scale, rows);
                rows_of(g, start * row + head * width, row, s->type, first, BLOCK, length, width, wide, 1, gs);
                for (int64_t t = first; t < last; t += ROWS) {
                    const int64_t stop = least(t + ROWS, length), at = (t - first) * wide;
                    float *p = weights + (t - first) * reserve, *ds = slopes + (t - first) * reserve;
                    multiply(rows + at, wide, 1, width, keys, reserve, stop, p, reserve, 0);
                    multiply(gs + at, wide, 1, width, values, reserve, stop, ds, reserve, 0);
                    for (int64_t r = 0; r < ROWS; r++) {
                        float *weight = p + r * reserve, *slope = ds + r * reserve;
                        if (t + r >= length) {
                            memset(weight, 0, sizeof(float) * up(end, LANES));
                            memset(slope, 0, sizeof(float) * up(end, LANES));
                            continue;
                        }
                        const int64_t place = (start + t + r) * s->heads + head;
                        const float *from = widened(g, place * width, width, s->type, one);
                        const float *mixed = widened(out, place * width, width, s->type, other);
                        const float pull = dot(from, mixed, 0, width);
                        hide(weight, t + r + 1);
                        weighed(weight, t + r + 1, end, logsum[place]);
                        int64_t i = 0;
                        for (; i < t + r + 1; i += LANES)
                            store(slope + i, load(weight + i) * (load(slope + i) - splat(pull)));
                        for (; i < end; i += LANES) store(slope + i, splat(0));
                    }
                    multiply(ds, reserve, 1, stop, key_rows, wide, wide, made, wide, 0);
                    for (int64_t r = 0; r < stop - t; r++)
                        put(made + r * wide, width, s->scale, dquery, ((start + t + r) * s->heads + head) * width, s->type,
                            one);
                }
                const int64_t count = up(last - first, ROWS);
                for (int64_t k = 0; k < last; k += ROWS) {
                    multiply(slopes + k, 1, reserve, count, rows, wide, wide, key_sums + k * wide, wide, 1);
                    multiply(weights + k, 1, reserve, count, gs, wide, wide, value_sums + k * wide, wide, 1);
                }
            }
        for (int64_t t = 0; t < length; t++) {
            const int64_t at = ((start + t) * s->groups + group) * width;
            put(key_sums + t * wide, width, 1, dkey, at, s->type, one);
            put(value_sums + t * wide, width, 1, dvalue, at, s->type, one);
        }
    }
}
