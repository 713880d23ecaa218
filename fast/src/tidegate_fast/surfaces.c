/* What stands between white space, to token ids: a table of words met before, and its reading.

   One thread at a time adds to a table, which Python's lock sees to; any number may read it
   meanwhile. An entry is whole before its slot points to it, never changes, and is never taken
   away; slots that have become too few are copied, and who reads the old ones goes on. */
#include <stdlib.h>
#include <string.h>

#include "network.h"

#if defined(_MSC_VER)
#define READ(place) (*(void *volatile *)&(place))
#define PUBLISH(place, value) (*(void *volatile *)&(place) = (void *)(value))
#else
#define READ(place) __atomic_load_n(&(place), __ATOMIC_ACQUIRE)
#define PUBLISH(place, value) __atomic_store_n(&(place), value, __ATOMIC_RELEASE)
#endif

typedef struct {
    uint64_t hash;
    size_t size;
    int64_t n_ids;
    int64_t ids[]; /* then the word's bytes */
} Entry;

typedef struct Slots {
    struct Slots *before; /* smaller ones, freed at the end */
    uint64_t mask;
    Entry *entry[];
} Slots;

struct Surfaces {
    uint64_t key[2];
    int64_t count;
    Slots *slots;
};

/* SipHash-1-3 (Aumasson & Bernstein 2012): nobody who does not know the key can write words that
   fall into one slot. */
#define ROTATE(x, b) (((x) << (b)) | ((x) >> (64 - (b))))
#define ROUND                                                                                  \
    (v0 += v1, v1 = ROTATE(v1, 13), v1 ^= v0, v0 = ROTATE(v0, 32), v2 += v3,                   \
     v3 = ROTATE(v3, 16), v3 ^= v2, v0 += v3, v3 = ROTATE(v3, 21), v3 ^= v0, v2 += v1,         \
     v1 = ROTATE(v1, 17), v1 ^= v2, v2 = ROTATE(v2, 32))

static uint64_t siphash(const uint64_t key[2], const char *text, size_t size)
{
    uint64_t v0 = key[0] ^ 0x736f6d6570736575u, v1 = key[1] ^ 0x646f72616e646f6du;
    uint64_t v2 = key[0] ^ 0x6c7967656e657261u, v3 = key[1] ^ 0x7465646279746573u;
    uint64_t part, last = (uint64_t)size << 56;
    size_t left = size;
    for (; left >= 8; left -= 8, text += 8) {
        memcpy(&part, text, 8);
        v3 ^= part;
        ROUND;
        v0 ^= part;
    }
    for (size_t i = 0; i < left; i++) last |= (uint64_t)(unsigned char)text[i] << (8 * i);
    v3 ^= last;
    ROUND;
    v0 ^= last;
    v2 ^= 0xff;
    ROUND, ROUND, ROUND;
    return v0 ^ v1 ^ v2 ^ v3;
}

static Slots *slots_new(uint64_t n, Slots *before)
{
    Slots *made = calloc(1, sizeof(Slots) + n * sizeof(Entry *));
    if (made) made->mask = n - 1, made->before = before;
    return made;
}

Surfaces *surfaces_new(const uint64_t key[2])
{
    Surfaces *made = calloc(1, sizeof *made);
    if (!made) return NULL;
    made->key[0] = key[0], made->key[1] = key[1];
    made->slots = slots_new(1024, NULL);
    if (made->slots) return made;
    free(made);
    return NULL;
}

void surfaces_free(Surfaces *s)
{
    if (!s) return;
    for (uint64_t i = 0; i <= s->slots->mask; i++) free(s->slots->entry[i]);
    for (Slots *one = s->slots; one;) {
        Slots *before = one->before;
        free(one);
        one = before;
    }
    free(s);
}

int64_t surfaces_count(const Surfaces *s) { return s->count; }

static const Entry *find(const Surfaces *s, uint64_t hash, const char *text, size_t size)
{
    Slots *slots = READ(s->slots);
    for (uint64_t i = hash & slots->mask;; i = (i + 1) & slots->mask) {
        const Entry *found = READ(slots->entry[i]);
        if (!found) return NULL;
        if (found->hash == hash && found->size == size
            && !memcmp(found->ids + found->n_ids, text, size))
            return found;
    }
}

static void put(Slots *slots, Entry *entry)
{
    uint64_t i = entry->hash & slots->mask;
    while (slots->entry[i]) i = (i + 1) & slots->mask;
    PUBLISH(slots->entry[i], entry);
}

/* Add a word, unless it is there: 0, or -1 if there is no memory. */
int surfaces_add(Surfaces *s, const char *text, size_t size, const int64_t *ids, int64_t n_ids)
{
    const uint64_t hash = siphash(s->key, text, size);
    if (find(s, hash, text, size)) return 0;
    Slots *slots = s->slots;
    if ((uint64_t)s->count * 2 > slots->mask) {
        Slots *larger = slots_new(2 * (slots->mask + 1), slots);
        if (!larger) return -1;
        for (uint64_t i = 0; i <= slots->mask; i++)
            if (slots->entry[i]) put(larger, slots->entry[i]);
        PUBLISH(s->slots, larger);
        slots = larger;
    }
    Entry *made = malloc(sizeof(Entry) + sizeof(int64_t) * (size_t)n_ids + size);
    if (!made) return -1;
    made->hash = hash, made->size = size, made->n_ids = n_ids;
    if (n_ids) memcpy(made->ids, ids, sizeof(int64_t) * (size_t)n_ids);
    memcpy(made->ids + n_ids, text, size);
    put(slots, made);
    s->count++;
    return 0;
}

/* Bytes of the white space that begins here, as `str.split` sees it in UTF-8; 0 if there is none. */
static int white(const unsigned char *p, const unsigned char *end)
{
    if (*p < 0x80) return *p == ' ' || (*p >= 9 && *p <= 13) || (*p >= 28 && *p <= 31);
    if (*p == 0xC2) return end - p > 1 && (p[1] == 0x85 || p[1] == 0xA0) ? 2 : 0;
    if (*p < 0xE1 || *p > 0xE3 || end - p < 3) return 0;
    const unsigned code = (unsigned)p[0] << 16 | (unsigned)p[1] << 8 | p[2];
    if ((code >= 0xE28080 && code <= 0xE2808A) || code == 0xE280A8 || code == 0xE280A9) return 3;
    return code == 0xE280AF || code == 0xE2819F || code == 0xE19A80 || code == 0xE38080 ? 3 : 0;
}

static int append(int64_t **list, int64_t *n, int64_t *room, const int64_t *values, int64_t count)
{
    if (*n + count > *room) {
        const int64_t larger = 2 * (*n + count) + 64;
        int64_t *moved = realloc(*list, sizeof(int64_t) * (size_t)larger);
        if (!moved) return -1;
        *list = moved, *room = larger;
    }
    for (int64_t i = 0; i < count; i++) (*list)[*n + i] = values[i];
    *n += count;
    return 0;
}

/* Messages, each ended by a NUL, to ids: at most `limit` of each (0: all), and one free place after
   it. Words that neither table holds are listed in `missed`. 0, or -1 if there is no memory. */
int surfaces_encode(const Surfaces *s, const Surfaces *more, const char *text, size_t size,
                    int64_t limit, Encoded *out)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + size;
    const int64_t padding = 0;
    while (p < end) {
        int64_t left = limit ? limit : INT64_MAX;
        for (;;) {
            int skip = 0;
            while (p < end && *p && (skip = white(p, end))) p += skip;
            if (p == end || !*p) break;
            if (!left) { /* what is read no more */
                p = memchr(p, 0, (size_t)(end - p));
                if (!p) p = end;
                break;
            }
            const unsigned char *begin = p;
            while (p < end && *p && !white(p, end)) p++;
            const size_t length = (size_t)(p - begin);
            const char *word = (const char *)begin;
            const Entry *found = find(s, siphash(s->key, word, length), word, length);
            if (!found && more)
                found = find(more, siphash(more->key, word, length), word, length);
            if (!found) {
                const int64_t place[2] = {word - text, word - text + (int64_t)length};
                if (append(&out->missed, &out->n_missed, &out->room_missed, place, 2)) return -1;
                continue;
            }
            const int64_t n = found->n_ids < left ? found->n_ids : left;
            if (append(&out->ids, &out->n_ids, &out->room_ids, found->ids, n)) return -1;
            left -= n;
        }
        out->ends[out->n_ends++] = out->n_ids;
        if (append(&out->ids, &out->n_ids, &out->room_ids, &padding, 1)) return -1;
        p++;
    }
    return 0;
}
