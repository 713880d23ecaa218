/* What a network is in memory, and what an instruction set must be able to do with it. */
#ifndef TIDEGATE_NETWORK_H
#define TIDEGATE_NETWORK_H
#include <stddef.h>
#include <stdint.h>

enum { LSTM, GRU, RNN };
enum { LAST, MEAN, MAX, MEAN_MAX };

/* W (rows, columns) and a bias, cut into panels of two vectors' width: first the `rows` parts of
   columns 0 to width - 1, then those of the next columns. Zeros fill the last panel up. */
typedef struct {
    int64_t rows, columns, width;
    const float *panels, *bias;
} Matrix;

typedef struct {
    Matrix input, recurrent; /* W and b of the layers above the first; U and, of a GRU, b_hn */
} Direction;

typedef struct {
    int64_t cell, pooling, gates, units, stride; /* a gate's block is `stride` >= `units` wide */
    int64_t layers, directions, features, outputs; /* features: pooled values of a message */
    Direction *parts;                              /* a layer's directions side by side */
    Matrix dense, output;                          /* dense: no rows if there is none */
    int64_t lanes;
    void *memory;
} Network;

/* n messages, from long to short in the order of `order`; ids are rows of the tables. */
typedef struct {
    int64_t n;
    const int64_t *ids, *starts, *lengths, *order;
    const float *tables[2];
    float *logits; /* (n, outputs), in the messages' own order */
} Messages;

typedef struct {
    const char *name;
    int64_t lanes;
    int (*run)(const Network *, const Messages *); /* 0, or -1: out of memory */
} InstructionSet;

/* The linear branch: see `Ngrams` in ngrams.c. */
typedef struct {
    int64_t n_words, outputs, n_pairs, n_crowded, shift;
    const int64_t *keys, *crowded;
    const int32_t *numbers;
    const float *rows, *bias;
    float floor, share;
} Ngrams;

int add_ngrams(const Ngrams *, const Messages *, const float *table);

typedef struct Surfaces Surfaces;
typedef struct {
    int64_t *ids, n_ids, room_ids;
    int64_t *ends, n_ends;       /* of each message, in `ids` */
    int64_t *missed, n_missed, room_missed; /* begin and end in the text of words not known */
} Encoded;

Surfaces *surfaces_new(const uint64_t key[2]);
void surfaces_free(Surfaces *);
int64_t surfaces_count(const Surfaces *);
int surfaces_add(Surfaces *, const char *, size_t, const int64_t *ids, int64_t n_ids);
int surfaces_encode(const Surfaces *, const Surfaces *more, const char *text, size_t size,
                    int64_t limit, Encoded *);
#endif
