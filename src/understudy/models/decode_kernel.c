/* One decoding step of a Llama-shaped model in float32: every row goes through all layers in one call.

   decode_native.py compiles this once on a machine and says what the arguments are. Each number of a row is summed in
   an order that depends on the model alone: what stands beside a row in a batch does not change it. */

#include "lanes.h"

/* A tile of ROWS x 2 sums, two weights and one input fill the registers. */
#if LANES == 16
#define ROWS 12
#elif LANES == 8
#define ROWS 6
#else
#define ROWS 8
#endif
#define PANEL (2 * LANES)

/* [depth, width] weights as panels [width / PANEL][depth][PANEL], zeros past the end; bias is padded too, or NULL. */
typedef struct {
    const float *panels, *bias;
    int64_t depth, width;
} product;

/* head_norm: [heads + groups, head_width] or NULL. keys, values: [rows, groups, reserve, head_width].
   columns: [rows, groups, head_width, column_reserve], the keys once more. */
typedef struct {
    const float *before, *between, *head_norm;
    product qkv, out, gate_up, down;
    float *keys, *values, *columns;
} layer;

typedef struct {
    int64_t hidden, heads, groups, head_width, inner, num_layers;
    float epsilon;
    const float *norm, *cosine, *sine;
    layer *layers;
} model;

int64_t panel_width(void) { return PANEL; }

/* Rows of a panel are asked for so far ahead: the hardware looks no further than a page, and waits at each. */
#define AHEAD 64

/* R rows of x times one panel, added to y where `add`. R and `is_first` are constants wherever this is inlined: the
   first rows meet a panel that lies in memory, those after them find it in a cache. */
INLINE void tile(const int R, const int is_first, const float *x, int64_t x_row, const product *w, const float *panel,
                 const float *bias, float *y, int64_t y_row, int add) {
    lanes sum[ROWS][2];
    for (int r = 0; r < R; r++) {
        sum[r][0] = bias ? load(bias) : splat(0);
        sum[r][1] = bias ? load(bias + LANES) : splat(0);
    }
    for (int64_t k = 0; k < w->depth; k++) {
        const float *at = panel + k * PANEL;
        if (is_first) __builtin_prefetch(at + AHEAD * PANEL), __builtin_prefetch(at + AHEAD * PANEL + LANES);
        lanes low = load(at), high = load(at + LANES);
#pragma GCC unroll 12
        for (int r = 0; r < R; r++) {
            lanes value = splat(x[r * x_row + k]);
            sum[r][0] += value * low;
            sum[r][1] += value * high;
        }
    }
    for (int r = 0; r < R; r++) {
        float *to = y + r * y_row;
        if (add) sum[r][0] += load(to), sum[r][1] += load(to + LANES);
        store(to, sum[r][0]);
        store(to + LANES, sum[r][1]);
    }
}

/* y [rows, width padded to panels] = x [rows, depth] w, or y += x w. */
static void multiply(const float *x, int64_t x_row, int64_t rows, const product *w, float *y, int64_t y_row, int add) {
#define TILE(R, is_first) tile(R, is_first, x + r * x_row, x_row, w, panel, bias, y + r * y_row + column, y_row, add)
#define TILES(R) (r ? TILE(R, 0) : TILE(R, 1), r += R)
    for (int64_t column = 0; column < w->width; column += PANEL) {
        const float *panel = w->panels + column * w->depth, *bias = w->bias ? w->bias + column : 0;
        for (int64_t r = 0; r < rows;)
            if (rows - r >= ROWS)
                TILES(ROWS);
            else if (rows - r >= 4)
                TILES(4);
            else
                TILES(1);
    }
}

/* Columns `from` to `to` of y [rows, width] = x [rows, depth] w; both are borders of panels. */
void multiply_columns(const float *x, int64_t x_row, int64_t rows, const product *w, int64_t from, int64_t to, float *y,
                      int64_t y_row) {
    const product part = {w->panels + from * w->depth, w->bias ? w->bias + from : 0, w->depth, to - from};
    multiply(x, x_row, rows, &part, y + from, y_row, 0);
}

/* y = x / rms(x) * weight, n numbers; y may be x. */
INLINE void normalise(const float *x, const float *weight, int64_t n, float epsilon, float *y) {
    lanes squares = splat(0);
    float rest = 0;
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES) squares += load(x + i) * load(x + i);
    for (; i < n; i++) rest += x[i] * x[i];
    const float scale = 1.0f / sqrtf((total(squares) + rest) / (float)n + epsilon);
    for (i = 0; i + LANES <= n; i += LANES) store(y + i, load(x + i) * splat(scale) * load(weight + i));
    for (; i < n; i++) y[i] = x[i] * scale * weight[i];
}

/* The halves of a head turned against each other; the sign stands in the sine. */
INLINE void rotate(float *x, const float *cosine, const float *sine, int64_t width) {
    const int64_t half = width / 2;
    for (int64_t i = 0; i < half; i++) {
        const float low = x[i], high = x[i + half];
        x[i] = low * cosine[i] + high * sine[i];
        x[i + half] = high * cosine[i + half] + low * sine[i + half];
    }
}

/* scores [N x LANES] of one query against as many columns, a stretch of each dimension's row at a time. */
INLINE void stretch(const int N, const float *query, const float *columns, int64_t column_reserve, int64_t width,
                    float *scores) {
    lanes sum[4];
    for (int i = 0; i < N; i++) sum[i] = splat(0);
    for (int64_t d = 0; d < width; d++)
#pragma GCC unroll 4
        for (int i = 0; i < N; i++) sum[i] += splat(query[d]) * load(columns + d * column_reserve + i * LANES);
    for (int i = 0; i < N; i++) store(scores + i * LANES, sum[i]);
}

/* scores [padded length] of one query against columns [width, column_reserve], then their softmax; returns 1 / sum. */
INLINE float attend(const float *query, const float *columns, int64_t column_reserve, int64_t width, int64_t first,
                    int64_t length, const uint8_t *mask, float *scores) {
    const int64_t begin = first - first % LANES, end = (length + LANES - 1) / LANES * LANES;
    int64_t at = begin;
    for (; at + 4 * LANES <= end; at += 4 * LANES)
        stretch(4, query, columns + at, column_reserve, width, scores + at);
    for (; at < end; at += LANES) stretch(1, query, columns + at, column_reserve, width, scores + at);
    for (int64_t i = begin; i < first; i++) scores[i] = -INFINITY;
    for (int64_t i = length; i < end; i++) scores[i] = -INFINITY;
    if (mask)
        for (int64_t i = first; i < length; i++)
            if (!mask[i]) scores[i] = -INFINITY;
    lanes most = splat(-INFINITY), sum = splat(0);
    for (at = begin; at < end; at += LANES) most = larger(load(scores + at), most);
    const float top = highest(most);
    for (at = begin; at < end; at += LANES) {
        lanes score = load(scores + at);
        whole kept = score > splat(-INFINITY);
        lanes weight = (lanes)((whole)exponential(score - splat(top)) & kept);
        store(scores + at, weight);
        sum += weight;
    }
    return 1.0f / total(sum);
}

/* y [width] = scale x the sum of weights[l] values[l], from first to length. */
INLINE void gather(const float *weights, const float *values, int64_t width, int64_t first, int64_t length, float scale,
                   float *y) {
    int64_t d = 0;
    for (; d + PANEL <= width; d += PANEL) {
        lanes low = splat(0), high = splat(0);
        for (int64_t l = first; l < length; l++) {
            low += splat(weights[l]) * load(values + l * width + d);
            high += splat(weights[l]) * load(values + l * width + d + LANES);
        }
        store(y + d, low * splat(scale));
        store(y + d + LANES, high * splat(scale));
    }
    for (; d < width; d++) {
        float sum = 0;
        for (int64_t l = first; l < length; l++) sum += weights[l] * values[l * width + d];
        y[d] = sum * scale;
    }
}

/* silu(gate) x up, n numbers of each (n is padded to panels). */
INLINE void gated(float *gate, const float *up, int64_t n) {
    for (int64_t i = 0; i < n; i += LANES) {
        lanes x = load(gate + i);
        store(gate + i, x / (splat(1.0f) + exponential(-x)) * load(up + i));
    }
}

static int64_t padded(int64_t n) { return (n + PANEL - 1) / PANEL * PANEL; }

/* Floats that one row needs between the products. */
int64_t row_scratch(const model *m, int64_t column_reserve) {
    const int64_t attention = padded((m->heads + 2 * m->groups) * m->head_width) + padded(m->heads * m->head_width);
    return padded(m->hidden) + attention + 2 * padded(m->inner) + column_reserve;
}

/* Query, keys and values of one row: normed, turned, stored; then what it attends to, into `attended`. */
INLINE void attention(const model *m, const layer *l, float *states, int64_t row, int64_t place, int64_t first, int64_t at,
                      int64_t reserve, int64_t column_reserve, const uint8_t *mask, float *scores, float *attended) {
    const int64_t width = m->head_width, heads = m->heads, groups = m->groups, share = heads / groups;
    for (int64_t head = 0; head < heads + groups; head++) {
        float *state = states + head * width;
        if (l->head_norm) normalise(state, l->head_norm + head * width, width, m->epsilon, state);
        rotate(state, m->cosine + place * width, m->sine + place * width, width);
    }
    for (int64_t group = 0; group < groups; group++) {
        const float *key = states + (heads + group) * width, *value = key + groups * width;
        const int64_t cell = row * groups + group;
        float *keys = l->keys + cell * reserve * width, *values = l->values + cell * reserve * width;
        float *columns = l->columns + cell * width * column_reserve;
        for (int64_t d = 0; d < width; d++) {
            keys[at * width + d] = columns[d * column_reserve + at] = key[d];
            values[at * width + d] = value[d];
        }
        for (int64_t head = group * share; head < (group + 1) * share; head++) {
            const float scale = attend(states + head * width, columns, column_reserve, width, first, at + 1, mask, scores);
            gather(scores, values, width, first, at + 1, scale, attended + head * width);
        }
    }
}

/* x [rows, hidden] becomes the last layer's normed output. Rows are numbered from `row` in the caches and in place,
   mask ([.., at + 1], 1 where it may be looked at). scratch: rows x row_scratch floats. */
void decode_rows(const model *m, int64_t row, int64_t rows, float *x, const int64_t *place, const uint8_t *mask, int64_t at,
                 int64_t reserve, int64_t column_reserve, float *scratch) {
    const int64_t hidden = padded(m->hidden), inner = padded(m->inner);
    const int64_t wide = padded((m->heads + 2 * m->groups) * m->head_width), narrow = padded(m->heads * m->head_width);
    float *normed = scratch, *states = normed + rows * hidden, *attended = states + rows * wide;
    float *gates = attended + rows * narrow, *scores = gates + rows * 2 * inner;
    const int64_t length = at + 1;
    for (int64_t number = 0; number < m->num_layers; number++) {
        const layer *l = m->layers + number;
        for (int64_t r = 0; r < rows; r++)
            normalise(x + r * hidden, l->before, m->hidden, m->epsilon, normed + r * hidden);
        multiply(normed, hidden, rows, &l->qkv, states, wide, 0);
        for (int64_t r = 0; r < rows; r++) {
            const uint8_t *seen = mask + (row + r) * length;
            int64_t first = 0, whole_tail = 1;
            while (first < at && !seen[first]) first++;
            for (int64_t i = first; i < length; i++) whole_tail &= seen[i];
            attention(m, l, states + r * wide, row + r, place[row + r], first, at, reserve, column_reserve,
                      whole_tail ? 0 : seen, scores, attended + r * narrow);
        }
        multiply(attended, narrow, rows, &l->out, x, hidden, 1);
        for (int64_t r = 0; r < rows; r++)
            normalise(x + r * hidden, l->between, m->hidden, m->epsilon, normed + r * hidden);
        multiply(normed, hidden, rows, &l->gate_up, gates, 2 * inner, 0);
        for (int64_t r = 0; r < rows; r++) gated(gates + r * 2 * inner, gates + r * 2 * inner + inner, inner);
        multiply(gates, 2 * inner, rows, &l->down, x, hidden, 1);
    }
    for (int64_t r = 0; r < rows; r++)
        normalise(x + r * hidden, m->norm, m->hidden, m->epsilon, x + r * hidden);
}
