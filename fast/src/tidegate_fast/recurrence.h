/* The recurrence, equation by equation: read it beside tidegate/engine/lstm.py and cells.py.

   Compiled once for each instruction set, which says how many floats a vector has (LANES), how many
   messages go side by side (ROWS), and what it is called (NAME). Letters are those of lstm.py: x is
   the token's row of the table, W x + b folded, u is U h, c the cell state, h the hidden state.

   A message is computed by the same operations in the same order whatever stands beside it: rows
   share the reading of a matrix and nothing else. */
#include <stdlib.h>
#include <string.h>

#include "network.h"

#define INLINE static inline __attribute__((always_inline))
#define PANEL (2 * LANES)
#define LONG_GROUP 8192 /* states of a group at most, but one message's */

typedef float vec __attribute__((vector_size(LANES * 4), may_alias));
typedef int32_t ints __attribute__((vector_size(LANES * 4), may_alias));
typedef uint32_t bits __attribute__((vector_size(LANES * 4), may_alias));
typedef vec loose __attribute__((aligned(4), may_alias)); /* a vector anywhere in memory */

INLINE vec all(float value) { return value - (vec){0}; }
#if !defined(SMALLER) /* the processor's own, which give the second of two if one is a NaN */
INLINE vec choose(ints yes, vec a, vec b) { return (vec)((yes & (ints)a) | (~yes & (ints)b)); }
#define SMALLER(a, b) choose((a) < (b), a, b)
#define LARGER(a, b) choose((a) > (b), a, b)
#endif

/* 1 + exp 2z = E, of which both curves are made: tanh z = (E - 2) / E, sigmoid 2z = (E - 1) / E.

   exp 2z = 2^t = 2^n 2^r with n whole and |r| <= 1/2. Adding and taking away 1.5 * 2^23 rounds to
   whole numbers; the low bits of that sum are n. 2^r is a polynomial whose relative error is
   7.5e-8, fitted at Chebyshev points. Beyond |t| = 30 both curves are flat in single precision. */
INLINE vec one_and_exp_of_twice(vec z)
{
    vec t = z * 2.885390082f;
    t = LARGER(all(-30.0f), SMALLER(all(30.0f), t));
    const vec sum = t + 12582912.0f;
    const vec r = t - (sum - 12582912.0f);
    const vec power = (vec)(((bits)sum << 23) + 0x3F800000u);
    const vec p = (((((r * 0.001327647177f + 0.009675541333f) * r + 0.05550713274f) * r
                     + 0.2402211972f) * r + 0.6931469671f) * r + 1.000000072f);
    return p * power + 1.0f;
}
INLINE vec tanh_of(vec z)
{
    const vec e = one_and_exp_of_twice(z);
    return (e - 2.0f) / e;
}
INLINE vec sigmoid_of_twice(vec z)
{
    const vec e = one_and_exp_of_twice(z);
    return (e - 1.0f) / e;
}

/* Rows (rows, K) times a matrix (K, N): out (rows, N), each sum in the order of K. */
INLINE void multiply(float *out, const float *const *in, const Matrix *m, const int rows)
{
    const loose *w = (const loose *)m->panels;
    for (int64_t column = 0; column < m->width; column += PANEL) {
        vec sum[ROWS][2] = {{{0}}};
        for (int64_t k = 0; k < m->rows; k++, w += 2)
            for (int r = 0; r < rows; r++) {
                sum[r][0] += in[r][k] * w[0];
                sum[r][1] += in[r][k] * w[1];
            }
        for (int r = 0; r < rows; r++) {
            loose *to = (loose *)(out + r * m->width + column);
            to[0] = sum[r][0], to[1] = sum[r][1];
        }
    }
}

static void product(float *out, const float *const *in, const Matrix *m, int rows)
{
    switch (rows) { /* each number of rows is compiled for itself, its sums kept in registers */
    case 1: multiply(out, in, m, 1); break;
    case 2: multiply(out, in, m, 2); break;
    case 3: multiply(out, in, m, 3); break;
    case 4: multiply(out, in, m, 4); break;
#if ROWS > 4
    case 5: multiply(out, in, m, 5); break;
    case 6: multiply(out, in, m, 6); break;
#endif
#if ROWS > 6
    case 7: multiply(out, in, m, 7); break;
    case 8: multiply(out, in, m, 8); break;
#endif
    }
}

/* Blocks i, f, o, g of x and u; those of i, f and o are halved, as `fold` leaves them.

   Division is what takes longest, so there is one for steps 1 to 3 and one for step 4: with I, F, O
   and G for 1 + exp of twice each block, i = (I - 1) / I and so on, g = (G - 2) / G,

       c = f c' + i g = ((F - 1) c' I G + (I - 1) (G - 2) F) / (F I G)
       h = o tanh c   = (O - 1) (C - 2) / (O C) */
static void lstm(const float *x, const float *u, float *c, float *h, int64_t P)
{
    for (int64_t j = 0; j < P; j += LANES) {
#define Z(block) (*(const loose *)(x + block * P + j) + *(const loose *)(u + block * P + j))
#define E(block) one_and_exp_of_twice(Z(block))
        const vec I = E(0), F = E(1), O = E(2), G = E(3), both = I * G;
        const vec kept = (F - 1.0f) * *(loose *)(c + j) * both; /* 1: of the old cell state */
        const vec added = (I - 1.0f) * (G - 2.0f) * F;          /* 2: what is new */
        const vec state = (kept + added) / (F * both);          /* 3: the new cell state */
        const vec C = one_and_exp_of_twice(state);
        *(loose *)(c + j) = state;
        *(loose *)(h + j) = (O - 1.0f) * (C - 2.0f) / (O * C);  /* 4: what is shown of it */
    }
}

/* Blocks r, z, n; `b` is b_hn. */
static void gru(const float *x, const float *u, const float *b, float *h, int64_t P)
{
    for (int64_t j = 0; j < P; j += LANES) {
        const vec reset = sigmoid_of_twice(Z(0) * 0.5f), update = sigmoid_of_twice(Z(1) * 0.5f);
        const vec hidden = *(const loose *)(u + 2 * P + j) + *(const loose *)(b + j);
        const vec fresh = tanh_of(*(const loose *)(x + 2 * P + j) + reset * hidden);
        *(loose *)(h + j) = fresh + update * (*(loose *)(h + j) - fresh);
    }
}

static void rnn(const float *x, const float *u, float *h, int64_t P)
{
    for (int64_t j = 0; j < P; j += LANES)
        *(loose *)(h + j) = tanh_of(Z(0));
}

/* What a group of at most ROWS messages works on, from long to short. */
typedef struct {
    int64_t rows, longest;
    const int64_t *ids[ROWS];
    int64_t length[ROWS];
    float *x, *u, *c, *h, *total, *largest, *pooled, *head; /* a row a message */
    float *states, *below;                                  /* of a layer, and of the one below */
    int64_t room;                                           /* tokens of these */
} Group;

/* The token's row of the table, or a copy with gaps behind blocks that fill no whole vectors. */
static const float *row_of(const Network *n, const float *table, int64_t id, float *copy)
{
    const float *row = table + id * n->gates * n->units;
    if (n->units == n->stride) return row;
    for (int64_t k = 0; k < n->gates; k++)
        memcpy(copy + k * n->stride, row + k * n->units, sizeof(float) * (size_t)n->units);
    return copy;
}

/* Let the processor fetch what the next step looks up, which lies anywhere in a large table. */
INLINE void fetch(const Network *n, const float *table, int64_t id)
{
    const char *row = (const char *)(table + id * n->gates * n->units);
    for (int64_t at = 0; at < n->gates * n->units * 4; at += 64) __builtin_prefetch(row + at);
}

/* The sum and the largest of a message's states so far. */
INLINE void pool(float *total, float *largest, const float *h, int64_t P)
{
    for (int64_t j = 0; j < P; j += LANES) {
        const vec state = *(const loose *)(h + j), before = *(loose *)(largest + j);
        *(loose *)(total + j) += state;
        *(loose *)(largest + j) = LARGER(before, state);
    }
}

/* One direction of one layer. Messages step together from their own first token, or from their own
   last; one that has ended drops off the end of the rows. States of the top layer are pooled at
   once; those of the others are kept for the layer above. */
static void read_direction(const Network *n, Group *g, int64_t layer, int64_t d, const float *table)
{
    const Direction *part = &n->parts[layer * n->directions + d];
    const int64_t H = n->units, P = n->stride, F = n->directions * H, top = layer + 1 == n->layers;
    const int64_t width = part->recurrent.width, last = n->pooling == LAST;
    int rows = (int)g->rows;
    memset(g->u, 0, sizeof(float) * (size_t)(ROWS * (width + 4 * P))); /* and c, h, total, largest */
    for (int64_t step = 0; step < g->longest; step++) {
        const float *x[ROWS], *h[ROWS], *from[ROWS];
        int64_t token[ROWS];
        while (g->length[rows - 1] <= step) rows--;
        for (int r = 0; r < rows; r++) {
            token[r] = d ? g->length[r] - 1 - step : step;
            h[r] = g->h + r * P;
            x[r] = g->x + r * width;
            from[r] = layer ? g->below + (r * g->longest + token[r]) * F : NULL;
            if (layer) continue;
            x[r] = row_of(n, table, g->ids[r][token[r]], g->x + r * width);
            if (step + 1 < g->length[r]) fetch(n, table, g->ids[r][token[r] + (d ? -1 : 1)]);
        }
        if (layer) { /* W x + b, of the states below */
            product(g->x, from, &part->input, rows);
            for (int r = 0; r < rows; r++)
                for (int64_t j = 0; j < width; j++) g->x[r * width + j] += part->input.bias[j];
        }
        if (step) product(g->u, h, &part->recurrent, rows);
        for (int r = 0; r < rows; r++) {
            float *hidden = g->h + r * P, *total = g->total + r * P, *u = g->u + r * width;
            if (n->cell == LSTM) lstm(x[r], u, g->c + r * P, hidden, P);
            else if (n->cell == GRU) gru(x[r], u, part->recurrent.bias, hidden, P);
            else rnn(x[r], u, hidden, P);
            if (!top)
                memcpy(g->states + (r * g->longest + token[r]) * F + d * H, hidden,
                       sizeof(float) * (size_t)H);
            else if (!last) {
                if (!step) memcpy(g->largest + r * P, hidden, sizeof(float) * (size_t)P);
                pool(total, g->largest + r * P, hidden, P);
            } else if (token[r] + 1 == g->length[r])
                memcpy(total, hidden, sizeof(float) * (size_t)P);
        }
    }
}

/* What was pooled of one direction, to its place in one vector a message: means, then largest. */
static void put_pooled(const Network *n, const Group *g, int64_t d)
{
    const int64_t H = n->units, second = n->pooling == MEAN_MAX ? n->directions * H : 0;
    for (int64_t r = 0; r < g->rows; r++) {
        float *out = g->pooled + r * n->features + d * H;
        const float *total = g->total + r * n->stride, *largest = g->largest + r * n->stride;
        const float length = n->pooling == LAST ? 1.0f : (float)g->length[r];
        for (int64_t j = 0; j < H && n->pooling != MAX; j++) out[j] = total[j] / length;
        for (int64_t j = 0; j < H && (second || n->pooling == MAX); j++) out[second + j] = largest[j];
    }
}

/* Pooled vectors to logits, put where each message stands. */
static void answer(const Network *n, const Group *g, const Messages *m, const int64_t *order)
{
    const float *in[ROWS];
    float *out = g->head;
    for (int r = 0; r < g->rows; r++) in[r] = g->pooled + r * n->features;
    if (n->dense.rows) {
        product(out, in, &n->dense, (int)g->rows);
        for (int r = 0; r < g->rows; r++) {
            float *row = out + r * n->dense.width;
            for (int64_t j = 0; j < n->dense.columns; j++) {
                const float value = row[j] + n->dense.bias[j];
                row[j] = value < 0.0f ? 0.0f : value;
            }
            in[r] = row;
        }
        out += ROWS * n->dense.width;
    }
    product(out, in, &n->output, (int)g->rows);
    for (int r = 0; r < g->rows; r++)
        for (int64_t j = 0; j < n->outputs; j++)
            m->logits[order[r] * n->outputs + j]
                = out[r * n->output.width + j] + n->output.bias[j];
}

/* Room for a group: 0, or -1 if there is none. */
static int make_room(const Network *n, Group *g)
{
    const int64_t width = n->parts[0].recurrent.width, P = n->stride;
    const int64_t tokens = n->layers > 1 ? g->rows * g->longest : 0;
    const size_t bytes = sizeof(float) * (size_t)(tokens * n->directions * n->units);
    if (!g->x) {
        const int64_t head = n->dense.width + n->output.width;
        g->x = calloc((size_t)(ROWS * (2 * width + 4 * P + n->features + head)), sizeof(float));
        if (!g->x) return -1;
        g->u = g->x + ROWS * width;
        g->c = g->u + ROWS * width;
        g->h = g->c + ROWS * P;
        g->total = g->h + ROWS * P;
        g->largest = g->total + ROWS * P;
        g->pooled = g->largest + ROWS * P;
        g->head = g->pooled + ROWS * n->features;
    }
    if (tokens <= g->room) return 0;
    free(g->states), free(g->below);
    g->room = tokens;
    g->states = malloc(bytes), g->below = malloc(bytes);
    return g->states && g->below ? 0 : -1;
}

static int run(const Network *n, const Messages *m)
{
    Group g = {0};
    int failed = 0;
    for (int64_t first = 0; first < m->n && !failed; first += g.rows) {
        const int64_t *order = m->order + first;
        g.longest = m->lengths[order[0]];
        g.rows = m->n - first < ROWS ? m->n - first : ROWS;
        while (g.rows > 1 && g.rows * g.longest > LONG_GROUP) g.rows--;
        failed = make_room(n, &g);
        if (failed) break;
        for (int64_t r = 0; r < g.rows; r++) {
            g.ids[r] = m->ids + m->starts[order[r]];
            g.length[r] = m->lengths[order[r]];
        }
        for (int64_t layer = 0; layer < n->layers; layer++) {
            float *states = g.states;
            if (layer) g.states = g.below, g.below = states;
            for (int64_t d = 0; d < n->directions; d++) {
                read_direction(n, &g, layer, d, m->tables[d]);
                if (layer + 1 == n->layers) put_pooled(n, &g, d);
            }
        }
        answer(n, &g, m, order);
    }
    free(g.x), free(g.states), free(g.below);
    return failed;
}

const InstructionSet NAME = {TITLE, LANES, run};
