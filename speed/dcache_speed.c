/* The parts of django-dcache's short cut that are done once for every key. Pure functions: no socket, no clock, no lock.

   django_dcache/engines/memcached/hot.py says what each of them does, and does it where this module is missing;
   tests/unit/runtime/test_speed.py proves them equal. Only the stable ABI of Python 3.11 is used, so that one wheel fits all.

   References taken out of lists, tuples and dicts are borrowed: nothing in here runs code that could drop them before
   their container goes, because keys of dicts are plain strings or pools, which compare by identity.
*/

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

/* Counted up whenever a function changes; django_dcache/runtime/speed.py takes no other. */
#define INTERFACE 3

typedef unsigned long long Number;

/* ---- Arguments ---- */

static int
expect(Py_ssize_t given, Py_ssize_t wanted)
{
    if (given == wanted)
        return 1;
    PyErr_Format(PyExc_TypeError, "%zd arguments expected, %zd given", wanted, given);
    return 0;
}

static int
as_number(PyObject *object, Number *number)
{
    *number = PyLong_AsUnsignedLongLong(object);
    return !PyErr_Occurred();
}

/* ---- Replies ---- */

typedef struct {
    const char *at, *end;
} Cursor;

typedef struct {
    int is_value, is_stub;
    Number size, flags, opaque;
} Answer;

/* Whether `word` comes next; it is passed over then. */
static int
take_word(Cursor *cursor, const char *word)
{
    size_t length = strlen(word);

    if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, word, length) != 0)
        return 0;
    cursor->at += length;
    return 1;
}

/* Whether a number of at most `most` digits comes next, `most` so few that nothing overflows; it is passed over then. */
static int
take_number(Cursor *cursor, int most, Number *number)
{
    const char *start = cursor->at;

    *number = 0;
    while (cursor->at < cursor->end && cursor->at - start < most && *cursor->at >= '0' && *cursor->at <= '9')
        *number = *number * 10 + (Number)(*cursor->at++ - '0');
    return cursor->at > start && (*start != '0' || cursor->at == start + 1);
}

/* Whether a line that answers `mg` comes next; it is passed over then. */
static int
take_answer(Cursor *cursor, Answer *answer)
{
    answer->is_value = take_word(cursor, "VA ");
    if (answer->is_value) {
        if (!take_number(cursor, 8, &answer->size) || !take_word(cursor, " f") ||
            !take_number(cursor, 9, &answer->flags))
            return 0;
    }
    else if (!take_word(cursor, "EN"))
        return 0;
    if (!take_word(cursor, " O") || !take_number(cursor, 10, &answer->opaque))
        return 0;
    answer->is_stub = take_word(cursor, " Z");
    return take_word(cursor, "\r\n");
}

/* found(data, opaque) -> (flags, start, stop) | None */
static PyObject *
found(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    char *text;
    Py_ssize_t length;
    Number opaque;
    Answer answer;

    if (!expect(count, 2) || PyBytes_AsStringAndSize(args[0], &text, &length) < 0 || !as_number(args[1], &opaque))
        return NULL;
    Cursor cursor = {text, text + length};
    if (!take_answer(&cursor, &answer) || !answer.is_value || answer.is_stub || answer.opaque != opaque)
        Py_RETURN_NONE;
    Py_ssize_t start = cursor.at - text;
    return Py_BuildValue("Knn", answer.flags, start, start + (Py_ssize_t)answer.size);
}

static int
keep(PyObject *values, PyObject *made_key, Number flags, const char *data, Number size)
{
    PyObject *value = Py_BuildValue("Ky#", flags, data, (Py_ssize_t)size);
    int failed = !value || PyDict_SetItem(values, made_key, value) < 0;

    Py_XDECREF(value);
    return !failed;
}

/* answers(data, made_keys, number, first, found, missed) -> (position, number) */
static PyObject *
answers(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    char *text;
    Py_ssize_t length, position = 0;
    Number first;

    if (!expect(count, 6) || PyBytes_AsStringAndSize(args[0], &text, &length) < 0 || !as_number(args[3], &first))
        return NULL;
    PyObject *made_keys = args[1], *values = args[4], *missed = args[5];
    Py_ssize_t number = PyLong_AsSsize_t(args[2]), wanted = PyList_Size(made_keys);
    if (PyErr_Occurred())
        return NULL;
    if (number < 0)
        return PyErr_Format(PyExc_ValueError, "outside of what there is");

    while (number < wanted) {
        Cursor cursor = {text + position, text + length};
        Answer answer;

        if (!take_answer(&cursor, &answer)) {
            if (memchr(text + position, '\n', (size_t)(length - position)))
                position = -1;
            break;
        }
        if (answer.opaque != first + (Number)number) {
            position = -1;
            break;
        }
        const char *data = cursor.at;
        if (answer.is_value) {
            /* No pointer is moved before it is known that it stays inside. */
            if ((Number)(cursor.end - data) < answer.size + 2)
                break;
            cursor.at += answer.size;
            if (!take_word(&cursor, "\r\n")) {
                position = -1;
                break;
            }
        }
        PyObject *made_key = PyList_GetItem(made_keys, number);
        if (!made_key)
            return NULL;
        if (answer.is_value && !answer.is_stub) {
            if (!keep(values, made_key, answer.flags, data, answer.size))
                return NULL;
        }
        else if (PyList_Append(missed, made_key) < 0)
            return NULL;
        position = cursor.at - text;
        number++;
    }
    return Py_BuildValue("nn", position, number);
}

/* ---- Commands ---- */

static Py_ssize_t
digits(Number number)
{
    Py_ssize_t count = 1;

    while (number /= 10)
        count++;
    return count;
}

static char *
put(char *at, const char *data, Py_ssize_t length)
{
    memcpy(at, data, (size_t)length);
    return at + length;
}

static int
key_of(PyObject *keys, Py_ssize_t i, char **key, Py_ssize_t *length)
{
    PyObject *bytes = PyList_GetItem(keys, i);

    return bytes && PyBytes_AsStringAndSize(bytes, key, length) == 0;
}

/* questions(keys, first) -> one `mg` for each */
static PyObject *
questions(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    char *key;
    Py_ssize_t length, total = 0, i;
    Number opaque;

    if (!expect(count, 2) || !as_number(args[1], &opaque))
        return NULL;
    Py_ssize_t wanted = PyList_Size(args[0]);
    if (wanted < 0)
        return NULL;
    for (i = 0; i < wanted; i++) {
        if (!key_of(args[0], i, &key, &length))
            return NULL;
        total += 3 + length + 6 + digits(opaque + (Number)i) + 2;
    }
    PyObject *request = PyBytes_FromStringAndSize(NULL, total);
    char *at = request ? PyBytes_AsString(request) : NULL;
    for (i = 0; at && i < wanted; i++) {
        if (!key_of(args[0], i, &key, &length))
            break; /* It did a moment ago. */
        at = put(put(put(at, "mg ", 3), key, length), " v f O", 6);
        Number number = opaque + (Number)i;
        char *digit = at += digits(number);
        do
            *--digit = (char)('0' + number % 10);
        while (number /= 10);
        at = put(at, "\r\n", 2);
    }
    return request;
}

/* ---- Placement ---- */

/* MD5 (RFC 1321) of a text of at most LONGEST_NAME bytes: it says where a key lives, and protects nothing. */

#define LONGEST_NAME 240

typedef unsigned int Word;

static const unsigned char shifts[16] = {7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21};
static const Word sines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

static Word
little_endian(const unsigned char *at)
{
    return (Word)at[0] | (Word)at[1] << 8 | (Word)at[2] << 16 | (Word)at[3] << 24;
}

/* One step; a macro, so that its constants are. */
#define STEP(mixed, i, word)                                          \
    do {                                                              \
        Word sum = a + (mixed) + sines[i] + words[(word) % 16];       \
        int shift = shifts[(i) / 16 * 4 + (i) % 4];                   \
        a = d, d = c, c = b, b += sum << shift | sum >> (32 - shift); \
    } while (0)
#define FOUR(mixed, i, step, first)                                                               \
    do {                                                                                          \
        STEP(mixed, i, step * (i) + first);                                                       \
        STEP(mixed, i + 1, step * (i + 1) + first);                                               \
        STEP(mixed, i + 2, step * (i + 2) + first);                                               \
        STEP(mixed, i + 3, step * (i + 3) + first);                                               \
    } while (0)
#define ROUND(mixed, i, step, first)       \
    do {                                   \
        FOUR(mixed, i, step, first);       \
        FOUR(mixed, i + 4, step, first);   \
        FOUR(mixed, i + 8, step, first);   \
        FOUR(mixed, i + 12, step, first);  \
    } while (0)

static void
mix(Word state[4], const unsigned char *block)
{
    Word words[16], a = state[0], b = state[1], c = state[2], d = state[3];

    for (int i = 0; i < 16; i++)
        words[i] = little_endian(block + 4 * i);
    ROUND((b & c) | (~b & d), 0, 1, 0);
    ROUND((d & b) | (~d & c), 16, 5, 1);
    ROUND(b ^ c ^ d, 32, 3, 5);
    ROUND(c ^ (b | ~d), 48, 7, 0);
    state[0] += a, state[1] += b, state[2] += c, state[3] += d;
}

/* The first five bytes of the digest: the point on the ring, and the slot. */
static void
place(const char *name, size_t length, Word *point, Word *slot)
{
    Word state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    unsigned char padded[LONGEST_NAME + 72] = {0};
    size_t size = (length + 8) / 64 * 64 + 64;

    memcpy(padded, name, length);
    padded[length] = 0x80;
    padded[size - 8] = (unsigned char)(length << 3), padded[size - 7] = (unsigned char)(length >> 5);
    for (size_t i = 0; i < size; i += 64)
        mix(state, padded + i);
    *point = state[0];
    *slot = state[1] & 255;
}

/* Whether an encoded made key is its own name: legal, short, and not one of those that hold the fleet's state. */
static int
is_own_name(const char *name, Py_ssize_t length)
{
    if (length < 1 || length > LONGEST_NAME || (length >= 4 && memcmp(name, "_dc:", 4) == 0))
        return 0;
    for (Py_ssize_t i = 0; i < length; i++)
        if ((unsigned char)name[i] <= 32 || name[i] == 127)
            return 0;
    return 1;
}

/* The place of the first of `count` rising points that is no less than `point`; `count` if there is none. */
static Py_ssize_t
search(const Word *points, Py_ssize_t count, Word point)
{
    Py_ssize_t low = 0, high = count;

    while (low < high) {
        Py_ssize_t middle = (low + high) / 2;
        if (points[middle] < point)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

typedef struct {
    const char *name;
    Py_ssize_t length;
    Word point, slot;
} Place;

/* 1: placed; 0: its name takes more than arithmetic; -1: an exception. */
static int
place_key(PyObject *made_key, Place *found)
{
    found->name = PyUnicode_AsUTF8AndSize(made_key, &found->length);
    if (!found->name) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeEncodeError))
            return -1;
        PyErr_Clear();
        return 0;
    }
    if (!is_own_name(found->name, found->length))
        return 0;
    place(found->name, (size_t)found->length, &found->point, &found->slot);
    return 1;
}

/* Points are packed as the machine has them: array("I").tobytes(). */
static int
as_points(PyObject *object, const Word **points, Py_ssize_t *count)
{
    char *bytes;
    Py_ssize_t length;

    if (PyBytes_AsStringAndSize(object, &bytes, &length) < 0)
        return 0;
    *points = (const Word *)bytes;
    *count = length / (Py_ssize_t)sizeof(Word);
    return 1;
}

/* locate(made_key) -> (name, point, slot) | None */
static PyObject *
locate(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    Place found;

    if (!expect(count, 1))
        return NULL;
    int placed = place_key(args[0], &found);
    if (placed < 0)
        return NULL;
    if (!placed)
        Py_RETURN_NONE;
    return Py_BuildValue("y#II", found.name, found.length, found.point, found.slot);
}

/* Adds an item, whose reference it takes over, to a list. */
static int
append(PyObject *list, PyObject *item)
{
    int failed = !item || PyList_Append(list, item) < 0;

    Py_XDECREF(item);
    return !failed;
}

static PyObject *
marked(PyObject *mark, const char *name, Py_ssize_t length)
{
    char *text;
    Py_ssize_t size;

    if (PyBytes_AsStringAndSize(mark, &text, &size) < 0)
        return NULL;
    PyObject *key = PyBytes_FromStringAndSize(NULL, size + length);
    if (key) {
        char *at = PyBytes_AsString(key);
        memcpy(at, text, (size_t)size);
        memcpy(at + size, name, (size_t)length);
    }
    return key;
}

/* group(made_keys, points, owners, marks) -> [(wire keys, made keys)] | position */
static PyObject *
group(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    const Word *points;
    const unsigned short *owners;
    Py_ssize_t size, length;
    Place found;

    if (!expect(count, 4) || !as_points(args[1], &points, &size))
        return NULL;
    if (!PyByteArray_Check(args[2]))
        return PyErr_Format(PyExc_TypeError, "owners are a bytearray");
    owners = (const unsigned short *)PyByteArray_AsString(args[2]);
    length = PyByteArray_Size(args[2]);
    Py_ssize_t wanted = PyList_Size(args[0]), nodes = PyList_Size(args[3]);
    if (wanted < 0 || nodes < 0)
        return NULL;
    if (length != (size + 1) * (Py_ssize_t)sizeof(*owners))
        return PyErr_Format(PyExc_ValueError, "an owner for each point, and one more");
    PyObject *groups = PyList_New(nodes);
    for (Py_ssize_t i = 0; groups && i < nodes; i++) {
        PyObject *pair = Py_BuildValue("[][]");
        if (!pair || PyList_SetItem(groups, i, pair) < 0)
            Py_CLEAR(groups);
    }
    for (Py_ssize_t i = 0; groups && i < wanted; i++) {
        PyObject *made_key = PyList_GetItem(args[0], i), *pair;
        int placed = place_key(made_key, &found);
        Py_ssize_t owner = placed > 0 ? owners[search(points, size, found.point)] : nodes;
        if (placed >= 0 && owner >= nodes) {
            Py_DECREF(groups);
            return PyLong_FromSsize_t(i);
        }
        if (placed < 0 || !(pair = PyList_GetItem(groups, owner)) ||
            !append(PyTuple_GetItem(pair, 0), marked(PyList_GetItem(args[3], owner), found.name, found.length)) ||
            PyList_Append(PyTuple_GetItem(pair, 1), made_key) < 0)
            Py_CLEAR(groups);
    }
    return groups;
}

/* ---- The module ---- */

#define FAST(function) {#function, (PyCFunction)(void (*)(void))function, METH_FASTCALL, NULL}

static PyMethodDef methods[] = {
    FAST(questions),
    FAST(answers),
    FAST(found),
    FAST(group),
    FAST(locate),
    {NULL, NULL, 0, NULL},
};

static int
add_interface(PyObject *module)
{
    return PyModule_AddIntConstant(module, "INTERFACE", INTERFACE);
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, add_interface}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "dcache_speed",
    .m_doc = "The parts of django-dcache that are done once for every key, compiled.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_dcache_speed(void)
{
    return PyModuleDef_Init(&definition);
}
