/* The door from Python: checks what comes in, releases the interpreter's lock, runs.

   Only the limited API of Python 3.11 is used, and buffers in place of NumPy's own interface, so
   that one wheel serves every Python and NumPy from there on. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030b0000
#include <Python.h>
#include <stdlib.h>
#include <string.h>

#include "network.h"

#define LARGEST (1 << 20) /* of any width, so that products of three fit an int64_t */

extern const InstructionSet isa_base;
#if defined(__x86_64__)
extern const InstructionSet isa_v3, isa_v4;
#endif

/* The instruction sets of this processor, the best first; ended by NULL. */
static const InstructionSet **available(void)
{
    static const InstructionSet *found[4];
    int n = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")
        && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")
        && __builtin_cpu_supports("fma"))
        found[n++] = &isa_v4;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) found[n++] = &isa_v3;
#endif
    found[n] = &isa_base;
    return found;
}

/* Borrow an array's memory: items of one kind ('f', 'l' for int64_t, 'i'), in C order. */
typedef struct {
    Py_buffer view[12];
    int n;
} Views;

static void give_back(Views *views)
{
    while (views->n) PyBuffer_Release(&views->view[--views->n]);
}

static int borrow(Views *views, PyObject *array, char kind, const char *name, int writable,
                  void **start, int64_t *count)
{
    Py_buffer *view = &views->view[views->n];
    const int flags = PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(array, view, flags)) return -1;
    views->n++;
    const char *format = view->format ? view->format : "B";
    const int fits = kind == 'l' ? view->itemsize == 8 && strchr("lq", *format)
                                 : view->itemsize == 4 && *format == kind;
    if (!fits || format[0] == 0 || format[1] != 0) {
        PyErr_Format(PyExc_TypeError, "%s: found items of format %s; %s are needed", name, format,
                     kind == 'f' ? "float32" : kind == 'l' ? "int64" : "int32");
        return -1;
    }
    *start = view->buf;
    *count = view->len / view->itemsize;
    return 0;
}

static PyObject *refuse(const char *name, int64_t found, const char *needed)
{
    PyErr_Format(PyExc_ValueError, "%s: found %lld; %s", name, (long long)found, needed);
    return NULL;
}

/* ---- Network -------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    Network net;
    const InstructionSet *set;
} NetworkObject;

static void network_free(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Network *net = &((NetworkObject *)self)->net;
    free(net->parts);
    free(net->memory);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static int64_t up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

/* Point a matrix into the network's memory, which holds its panels and its bias; return its size. */
static int64_t place(Matrix *m, const float *memory, int64_t rows, int64_t columns, int64_t lanes)
{
    m->rows = rows, m->columns = columns, m->width = up(columns, 2 * lanes);
    if (memory) m->panels = memory, m->bias = memory + rows * m->width;
    return (rows + 1) * m->width;
}

/* Lay all matrices out behind one another; with no memory only count the values. */
static int64_t lay_out(Network *n, const float *memory, int64_t head)
{
    const int64_t columns = n->gates * n->stride, below = n->directions * n->units;
    int64_t at = 0;
#define NEXT (memory ? memory + at : NULL)
    for (int64_t i = 0; i < n->layers * n->directions; i++) {
        Direction *part = &n->parts[i];
        at += place(&part->input, NEXT, i < n->directions ? 0 : below, columns, n->lanes);
        at += place(&part->recurrent, NEXT, n->units, columns, n->lanes);
    }
    at += place(&n->dense, NEXT, head ? n->features : 0, head ? head : 1, n->lanes);
    at += place(&n->output, NEXT, head ? head : n->features, n->outputs, n->lanes);
    return at;
}

static PyObject *network_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
    long long cell, pooling, units, layers, directions, head, outputs;
    const char *wanted;
    PyObject *weights;
    if (named && PyDict_Size(named)) return PyErr_Format(PyExc_TypeError, "no keywords"), NULL;
    if (!PyArg_ParseTuple(args, "LLLLLLLsO", &cell, &pooling, &units, &layers, &directions, &head,
                          &outputs, &wanted, &weights))
        return NULL;
    if (cell < LSTM || cell > RNN) return refuse("cell", cell, "0, 1 or 2 is needed");
    if (pooling < LAST || pooling > MEAN_MAX) return refuse("pooling", pooling, "0 to 3 is needed");
    if (units < 1 || units > LARGEST) return refuse("units", units, "1 to 1,048,576 are needed");
    if (layers < 1 || layers > 64) return refuse("layers", layers, "1 to 64 are needed");
    if (directions < 1 || directions > 2) return refuse("directions", directions, "1 or 2");
    if (head < 0 || head > LARGEST) return refuse("head", head, "0 to 1,048,576");
    if (outputs < 1 || outputs > LARGEST) return refuse("outputs", outputs, "1 to 1,048,576");
    NetworkObject *self = (NetworkObject *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (!self) return NULL;
    for (const InstructionSet **set = available(); *set; set++)
        if (!self->set && (!*wanted || !strcmp((*set)->name, wanted))) self->set = *set;
    Network *n = &self->net;
    Views views = {.n = 0};
    void *given;
    int64_t count, needed = 0;
    if (!self->set) {
        PyErr_Format(PyExc_ValueError, "instructions: this processor has no %s", wanted);
        goto failed;
    }
    n->lanes = self->set->lanes;
    n->cell = cell, n->pooling = pooling, n->units = units, n->stride = up(units, n->lanes);
    n->gates = cell == LSTM ? 4 : cell == GRU ? 3 : 1;
    n->layers = layers, n->directions = directions, n->outputs = outputs;
    n->features = directions * units * (pooling == MEAN_MAX ? 2 : 1);
    n->parts = calloc((size_t)(layers * directions), sizeof(Direction));
    if (!n->parts || borrow(&views, weights, 'f', "weights", 0, &given, &count)) goto failed;
    needed = lay_out(n, NULL, head);
    if (count != needed) {
        refuse("weights", count, "another number of values belongs to this shape");
        goto failed;
    }
    n->memory = malloc(sizeof(float) * (size_t)needed + 64);
    if (!n->memory) goto failed;
    float *memory = (float *)(((uintptr_t)n->memory + 63) & ~(uintptr_t)63);
    memcpy(memory, given, sizeof(float) * (size_t)needed);
    lay_out(n, memory, head);
    give_back(&views);
    return (PyObject *)self;
failed:
    give_back(&views);
    Py_DECREF(self);
    return PyErr_Occurred() ? NULL : PyErr_NoMemory();
}

/* ---- Ngrams --------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    Ngrams ngrams;
    Views views; /* of the arrays, which it goes on using */
} NgramsObject;

static void ngrams_free(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    give_back(&((NgramsObject *)self)->views);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyObject *ngrams_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
    PyObject *keys, *crowded, *numbers, *rows, *bias;
    long long n_words;
    double floor, share;
    if (named && PyDict_Size(named)) return PyErr_Format(PyExc_TypeError, "no keywords"), NULL;
    if (!PyArg_ParseTuple(args, "LddOOOOO", &n_words, &floor, &share, &keys, &crowded, &numbers,
                          &rows, &bias))
        return NULL;
    if (n_words < 1 || n_words > 1 << 30) return refuse("n_words", n_words, "1 to 2^30 are needed");
    NgramsObject *self = (NgramsObject *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (!self) return NULL;
    Ngrams *g = &self->ngrams;
    Views *v = &self->views;
    int64_t slots, values;
    g->n_words = n_words, g->floor = (float)floor, g->share = (float)share, g->shift = 64;
    if (borrow(v, keys, 'l', "keys", 0, (void **)&g->keys, &g->n_pairs)
        || borrow(v, crowded, 'l', "crowded", 0, (void **)&g->crowded, &g->n_crowded)
        || borrow(v, numbers, 'i', "numbers", 0, (void **)&g->numbers, &slots)
        || borrow(v, rows, 'f', "rows", 0, (void **)&g->rows, &values)
        || borrow(v, bias, 'f', "bias", 0, (void **)&g->bias, &g->outputs))
        goto failed;
    while (g->shift > 1 && (int64_t)1 << (64 - g->shift) < slots) g->shift--;
    if (slots < 2 || (int64_t)1 << (64 - g->shift) != slots || g->shift < 33) {
        refuse("numbers", slots, "a power of two is needed");
        goto failed;
    }
    if (g->outputs < 1 || values != g->n_pairs * (g->outputs + 1)) {
        refuse("rows", values, "(pairs, outputs + 1) values are needed");
        goto failed;
    }
    for (int64_t i = 0; i < slots; i++)
        if (g->numbers[i] >= g->n_pairs) {
            refuse("numbers", g->numbers[i], "no such pair");
            goto failed;
        }
    for (int64_t i = 0; i < g->n_crowded; i++)
        if (g->crowded[i] < 0 || g->crowded[i] >= g->n_pairs) {
            refuse("crowded", g->crowded[i], "no such pair");
            goto failed;
        }
    return (PyObject *)self;
failed:
    Py_DECREF(self);
    return NULL;
}

/* ---- logits --------------------------------------------------------------------------------- */

/* Whether messages lie within their arrays, in order, and their ids within the tables. */
static int check_messages(const Messages *m, int64_t n_ids, int64_t rows)
{
    int64_t before = INT64_MAX;
    for (int64_t i = 0; i < m->n; i++) {
        const int64_t which = m->order[i];
        if (which < 0 || which >= m->n) return refuse("order", which, "no such message"), -1;
        if (m->lengths[which] > before) return refuse("order", which, "it is longer"), -1;
        before = m->lengths[which];
        const int64_t start = m->starts[i], length = m->lengths[i];
        if (length < 1) return refuse("lengths", length, "at least 1 is needed"), -1;
        if (start < 0 || start > n_ids || length > n_ids - start)
            return refuse("starts", start, "the message ends past the ids"), -1;
        for (int64_t t = start; t < start + length; t++)
            if (m->ids[t] < 0 || m->ids[t] >= rows)
                return refuse("ids", m->ids[t], "no such row of the tables"), -1;
    }
    return 0;
}

static PyTypeObject *ngrams_type;

static PyObject *network_logits(PyObject *self, PyObject *args)
{
    const Network *n = &((NetworkObject *)self)->net;
    const InstructionSet *set = ((NetworkObject *)self)->set;
    PyObject *ids, *starts, *lengths, *order, *tables, *out, *branch = Py_None;
    if (!PyArg_ParseTuple(args, "OOOOO!O|O", &ids, &starts, &lengths, &order, &PyTuple_Type,
                          &tables, &out, &branch))
        return NULL;
    const Ngrams *ngrams = NULL;
    if (branch != Py_None) {
        if (!PyObject_TypeCheck(branch, ngrams_type))
            return PyErr_Format(PyExc_TypeError, "ngrams: found another type"), NULL;
        ngrams = &((NgramsObject *)branch)->ngrams;
        if (ngrams->outputs != n->outputs)
            return refuse("ngrams", ngrams->outputs, "its outputs are not the network's");
    }
    const int64_t n_tables = n->directions + (ngrams ? 1 : 0);
    if (PyTuple_Size(tables) < n_tables)
        return refuse("tables", PyTuple_Size(tables), "one a direction, and the n-grams'");
    Messages m = {0};
    Views v = {.n = 0};
    int64_t n_ids, n_lengths, n_order, n_out, rows = INT64_MAX;
    const float *table[3];
    int failed = -1;
    if (borrow(&v, ids, 'l', "ids", 0, (void **)&m.ids, &n_ids)
        || borrow(&v, starts, 'l', "starts", 0, (void **)&m.starts, &m.n)
        || borrow(&v, lengths, 'l', "lengths", 0, (void **)&m.lengths, &n_lengths)
        || borrow(&v, order, 'l', "order", 0, (void **)&m.order, &n_order)
        || borrow(&v, out, 'f', "out", 1, (void **)&m.logits, &n_out))
        goto done;
    if (n_lengths != m.n || n_order != m.n || n_out != m.n * n->outputs) {
        refuse("starts", m.n, "lengths, order and out are of other numbers of messages");
        goto done;
    }
    for (int64_t i = 0; i < n_tables; i++) {
        const int64_t width = i < n->directions ? n->gates * n->units : n->outputs + 1;
        int64_t values;
        if (borrow(&v, PyTuple_GetItem(tables, i), 'f', "tables", 0, (void **)&table[i], &values))
            goto done;
        if (values % width) {
            refuse("tables", values, "they are not as wide as the network's");
            goto done;
        }
        if (values / width < rows) rows = values / width;
    }
    if (check_messages(&m, n_ids, rows)) goto done;
    m.tables[0] = table[0], m.tables[1] = table[n->directions - 1];
    Py_BEGIN_ALLOW_THREADS
    failed = m.n ? set->run(n, &m) : 0;
    if (!failed && ngrams) failed = add_ngrams(ngrams, &m, table[n->directions]);
    Py_END_ALLOW_THREADS
    if (failed) PyErr_NoMemory();
done:
    give_back(&v);
    return failed ? NULL : Py_NewRef(Py_None);
}

/* ---- Surfaces ------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    Surfaces *table;
} SurfacesObject;

static PyTypeObject *surfaces_type;

static void surfaces_object_free(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    surfaces_free(((SurfacesObject *)self)->table);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyObject *surfaces_object_new(PyTypeObject *type, PyObject *args, PyObject *named)
{
    const char *key;
    Py_ssize_t size;
    uint64_t parts[2];
    if (named && PyDict_Size(named)) return PyErr_Format(PyExc_TypeError, "no keywords"), NULL;
    if (!PyArg_ParseTuple(args, "y#", &key, &size)) return NULL;
    if (size != sizeof parts) return refuse("key", size, "16 bytes are needed");
    memcpy(parts, key, sizeof parts);
    SurfacesObject *self = (SurfacesObject *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);
    if (!self) return NULL;
    self->table = surfaces_new(parts);
    if (self->table) return (PyObject *)self;
    Py_DECREF(self);
    return PyErr_NoMemory();
}

static Py_ssize_t surfaces_length(PyObject *self)
{
    return (Py_ssize_t)surfaces_count(((SurfacesObject *)self)->table);
}

static PyObject *surfaces_put(PyObject *self, PyObject *args)
{
    const char *word;
    Py_ssize_t size;
    PyObject *ids;
    Views v = {.n = 0};
    void *values;
    int64_t count;
    if (!PyArg_ParseTuple(args, "y#O", &word, &size, &ids)) return NULL;
    if (borrow(&v, ids, 'l', "ids", 0, &values, &count)) return give_back(&v), NULL;
    const int failed = surfaces_add(((SurfacesObject *)self)->table, word, (size_t)size, values, count);
    give_back(&v);
    return failed ? PyErr_NoMemory() : Py_NewRef(Py_None);
}

static PyObject *as_bytes(const int64_t *values, int64_t count)
{
    return PyByteArray_FromStringAndSize((const char *)values, (Py_ssize_t)(count * 8));
}

static PyObject *surfaces_read(PyObject *self, PyObject *args)
{
    const char *text;
    Py_ssize_t size;
    long long limit;
    PyObject *more = Py_None;
    if (!PyArg_ParseTuple(args, "y#L|O", &text, &size, &limit, &more)) return NULL;
    if (limit < 0) return refuse("limit", limit, "0 or more is needed");
    if (size && text[size - 1]) return refuse("text", text[size - 1], "it must end with a NUL");
    if (more != Py_None && !PyObject_TypeCheck(more, surfaces_type))
        return PyErr_Format(PyExc_TypeError, "more: found no Surfaces"), NULL;
    const Surfaces *first = ((SurfacesObject *)self)->table;
    const Surfaces *second = more == Py_None ? NULL : ((SurfacesObject *)more)->table;
    Encoded found = {0};
    int failed = -1;
    Py_BEGIN_ALLOW_THREADS
    int64_t messages = 0;
    for (Py_ssize_t i = 0; i < size; i++) messages += !text[i];
    found.ends = malloc(sizeof(int64_t) * (size_t)(messages + 1));
    if (found.ends)
        failed = surfaces_encode(first, second, text, (size_t)size, limit, &found);
    Py_END_ALLOW_THREADS
    PyObject *result = failed ? PyErr_NoMemory()
                              : Py_BuildValue("(NNN)", as_bytes(found.ids, found.n_ids),
                                              as_bytes(found.ends, found.n_ends),
                                              as_bytes(found.missed, found.n_missed));
    free(found.ids), free(found.ends), free(found.missed);
    return result;
}

/* ---- the module ----------------------------------------------------------------------------- */

static PyMethodDef network_methods[] = {
    {"logits", network_logits, METH_VARARGS,
     "logits(ids, starts, lengths, order, tables, out, ngrams=None, /): fill out."},
    {NULL, NULL, 0, NULL},
};
static PyMethodDef surfaces_methods[] = {
    {"add", surfaces_put, METH_VARARGS, "add(word, ids, /): remember a word's ids."},
    {"encode", surfaces_read, METH_VARARGS,
     "encode(text, limit, more=None, /): ids, ends and missed words of messages."},
    {NULL, NULL, 0, NULL},
};

#define TYPE(name, object, ...)                                                                 \
    static PyType_Slot name##_slots[] = {__VA_ARGS__, {0, NULL}};                               \
    static PyType_Spec name##_spec = {"tidegate_fast._kernel." #object, sizeof(object##Object), \
                                      0, Py_TPFLAGS_DEFAULT, name##_slots};
TYPE(network, Network, {Py_tp_new, network_new}, {Py_tp_dealloc, network_free},
     {Py_tp_methods, network_methods})
TYPE(ngrams, Ngrams, {Py_tp_new, ngrams_new}, {Py_tp_dealloc, ngrams_free})
TYPE(surfaces, Surfaces, {Py_tp_new, surfaces_object_new}, {Py_tp_dealloc, surfaces_object_free},
     {Py_tp_methods, surfaces_methods}, {Py_sq_length, surfaces_length})

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_kernel", "The recurrence in C; see tidegate_fast.", -1, NULL,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernel(void)
{
    PyObject *module = PyModule_Create(&definition);
    PyObject *sets = PyTuple_New(0), *network = PyType_FromSpec(&network_spec);
    ngrams_type = (PyTypeObject *)PyType_FromSpec(&ngrams_spec);
    surfaces_type = (PyTypeObject *)PyType_FromSpec(&surfaces_spec);
    for (const InstructionSet **set = available(); sets && *set; set++) {
        PyObject *one = Py_BuildValue("((sL))", (*set)->name, (long long)(*set)->lanes);
        PyObject *both = one ? PySequence_Concat(sets, one) : NULL;
        Py_XDECREF(one);
        Py_DECREF(sets);
        sets = both;
    }
    if (!module || !sets || PyModule_AddObjectRef(module, "INSTRUCTION_SETS", sets)
        || PyModule_AddObjectRef(module, "Network", network)
        || PyModule_AddObjectRef(module, "Ngrams", (PyObject *)ngrams_type)
        || PyModule_AddObjectRef(module, "Surfaces", (PyObject *)surfaces_type)) {
        Py_XDECREF(module);
        return NULL;
    }
    Py_XDECREF(sets);
    Py_XDECREF(network);
    return module;
}
