/* The linear branch: read it beside tidegate/engine/ngrams.py.

       z = (sum of r(w) + sum of p(w, w')) / sqrt(max(q0, sums of q)) + b

   Words' rows r and q are looked up in a table, pairs' in another by their key. Keys are found by
   Fibonacci hashing; `numbers` says which key a slot holds, and the few keys that found their slot
   taken are in `crowded`, whose keys ascend. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "network.h"

static int64_t pair_number(const Ngrams *g, int64_t key)
{
    const int64_t slot = (int64_t)(((uint64_t)key * 0x9E3779B97F4A7C15u) >> g->shift);
    const int64_t number = g->numbers[slot];
    if (number < 0) return -1;
    if (g->keys[number] == key) return number;
    int64_t low = 0, high = g->n_crowded;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (g->keys[g->crowded[middle]] < key) low = middle + 1;
        else high = middle;
    }
    return low < g->n_crowded && g->keys[g->crowded[low]] == key ? g->crowded[low] : -1;
}

/* Blend the branch's logits into those of the messages: 0, or -1 if there is no memory. */
int add_ngrams(const Ngrams *g, const Messages *m, const float *table)
{
    const int64_t k = g->outputs, width = k + 1, unlisted = g->n_words > 1 ? 1 : g->n_words - 1;
    const int64_t begins = g->n_words, ends = g->n_words + 1;
    float *sums = malloc(sizeof(float) * 2 * width), *pairs = sums + width;
    if (!sums) return -1;
    for (int64_t i = 0; i < m->n; i++) {
        const int64_t *ids = m->ids + m->starts[i], T = m->lengths[i];
        const int empty = T == 1 && ids[0] == 0; /* padding is no word: its marks alone */
        int64_t left = begins;
        memset(sums, 0, sizeof(float) * 2 * width);
        for (int64_t t = 0; t <= T; t++) {
            int64_t right = ends;
            if (t < T) {
                for (int64_t j = 0; j < width; j++) sums[j] += table[ids[t] * width + j];
                right = ids[t] < g->n_words ? ids[t] : unlisted;
                if (empty) continue;
            }
            const int64_t number = g->n_pairs ? pair_number(g, left * (g->n_words + 2) + right) : -1;
            if (number >= 0)
                for (int64_t j = 0; j < width; j++) pairs[j] += g->rows[number * width + j];
            left = right;
        }
        const float q = sums[k] + pairs[k], norm = sqrtf(q >= g->floor || q != q ? q : g->floor);
        for (int64_t j = 0; j < k; j++) {
            float *z = m->logits + i * k + j;
            *z = (1.0f - g->share) * *z + g->share * ((sums[j] + pairs[j]) / norm + g->bias[j]);
        }
    }
    free(sums);
    return 0;
}
