/* The parts of django-dcache's short cut that are done once for every key. Pure functions: no socket, no clock, no lock.

   django_dcache/direct/batch.py says what each of them does, and does it where this module is missing;
   tests/unit/engines/memcached/test_speed.py proves them equal. Only the stable ABI of Python 3.11 is used, so that one wheel fits all.

   References taken out of lists, tuples and dicts are borrowed: nothing in here runs code that could drop them before
   their container goes, because keys of dicts are plain strings or pools, which compare by identity.
*/

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <string.h>

/* Counted up whenever a function changes; django_dcache/direct/speed.py takes no other. */
#define INTERFACE 1

typedef unsigned long long Number;

/* Places of fields in the named tuples of django_dcache/direct/known.py. */
enum { MADE_KEY = 0, READ = 3, LAST = 4, WRITE = 5 };
enum { POOL = 1, KEY = 2, REMOVE = 3 };

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

/* Whether one to `most` digits come next, `most` so few that nothing overflows; they are passed over then. */
static int
take_number(Cursor *cursor, int most, Number *number)
{
    const char *start = cursor->at;

    *number = 0;
    while (cursor->at < cursor->end && cursor->at - start < most && *cursor->at >= '0' && *cursor->at <= '9')
        *number = *number * 10 + (Number)(*cursor->at++ - '0');
    return cursor->at > start;
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

/* header(data, opaque) -> (flags, start, stop) | None */
static PyObject *
header(PyObject *module, PyObject *const *args, Py_ssize_t count)
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
keep(PyObject *found, PyObject *made_key, Number flags, const char *data, Number size)
{
    PyObject *value = Py_BuildValue("Ky#", flags, data, (Py_ssize_t)size);
    int failed = !value || PyDict_SetItem(found, made_key, value) < 0;

    Py_XDECREF(value);
    return !failed;
}

/* answers(data, position, asked, number, opaque, found, missed) -> (position, number) */
static PyObject *
answers(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    char *text;
    Py_ssize_t length;
    Number opaque;

    if (!expect(count, 7) || PyBytes_AsStringAndSize(args[0], &text, &length) < 0 || !as_number(args[4], &opaque))
        return NULL;
    PyObject *asked = args[2], *found = args[5], *missed = args[6];
    Py_ssize_t position = PyLong_AsSsize_t(args[1]), number = PyLong_AsSsize_t(args[3]), wanted = PyList_Size(asked);
    if (PyErr_Occurred())
        return NULL;
    if (position < 0 || position > length || number < 0)
        return PyErr_Format(PyExc_ValueError, "outside of what there is");

    while (number < wanted) {
        Cursor cursor = {text + position, text + length};
        Answer answer;

        if (!take_answer(&cursor, &answer)) {
            if (memchr(text + position, '\n', (size_t)(length - position)))
                position = -1;
            break;
        }
        if (answer.opaque != opaque + (Number)number) {
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
        PyObject *known = PyList_GetItem(asked, number), *made_key = NULL, *last = NULL;
        if (!known || !(made_key = PyTuple_GetItem(known, MADE_KEY)) || !(last = PyTuple_GetItem(known, LAST)))
            return NULL;
        if (answer.is_value && !answer.is_stub) {
            if (!keep(found, made_key, answer.flags, data, answer.size))
                return NULL;
        }
        else {
            int is_last = PyObject_IsTrue(last);
            if (is_last < 0 || (!is_last && PyList_Append(missed, made_key) < 0))
                return NULL;
        }
        position = cursor.at - text;
        number++;
    }
    return Py_BuildValue("nn", position, number);
}

/* ---- Commands ---- */

/* Adds `item` to the list that `groups` has under `pool`. */
static int
add_to(PyObject *groups, PyObject *pool, PyObject *item)
{
    PyObject *group = PyDict_GetItemWithError(groups, pool);

    if (group)
        return PyList_Append(group, item);
    if (PyErr_Occurred() || !(group = PyList_New(0)))
        return -1;
    int failed = PyList_Append(group, item) < 0 || PyDict_SetItem(groups, pool, group) < 0;
    Py_DECREF(group);
    return failed ? -1 : 0;
}

static int
add_reader(PyObject *groups, PyObject *rest, PyObject *known)
{
    PyObject *spot = PyTuple_GetItem(known, READ), *pool, *made_key;

    if (!spot)
        return -1;
    if (spot == Py_None)
        return (made_key = PyTuple_GetItem(known, MADE_KEY)) ? PyList_Append(rest, made_key) : -1;
    return (pool = PyTuple_GetItem(spot, POOL)) ? add_to(groups, pool, known) : -1;
}

static int
add_removals(PyObject *groups, PyObject *rest, PyObject *known)
{
    PyObject *spots = PyTuple_GetItem(known, WRITE), *spot, *pool, *remove, *made_key;
    Py_ssize_t copies = spots ? PyTuple_Size(spots) : -1;

    if (copies < 0)
        return -1;
    if (copies == 0)
        return (made_key = PyTuple_GetItem(known, MADE_KEY)) ? PyList_Append(rest, made_key) : -1;
    for (Py_ssize_t i = 0; i < copies; i++) {
        if (!(spot = PyTuple_GetItem(spots, i)) || !(pool = PyTuple_GetItem(spot, POOL)) ||
            !(remove = PyTuple_GetItem(spot, REMOVE)) || add_to(groups, pool, remove) < 0)
            return -1;
    }
    return 0;
}

/* Each of `places` by `add`: ({pool: list}, rest) */
static PyObject *
grouped(PyObject *places, int (*add)(PyObject *, PyObject *, PyObject *))
{
    PyObject *groups = PyDict_New(), *rest = PyList_New(0), *known;
    Py_ssize_t count = PyList_Size(places), i;
    int fine = groups && rest && count >= 0;

    for (i = 0; fine && i < count; i++)
        fine = (known = PyList_GetItem(places, i)) && add(groups, rest, known) == 0;
    PyObject *both = fine ? PyTuple_Pack(2, groups, rest) : NULL;
    Py_XDECREF(groups);
    Py_XDECREF(rest);
    return both;
}

/* readers(places) -> ({pool: places}, made keys) */
static PyObject *
readers(PyObject *module, PyObject *places)
{
    return grouped(places, add_reader);
}

/* removals(places) -> ({pool: commands}, made keys) */
static PyObject *
removals(PyObject *module, PyObject *places)
{
    return grouped(places, add_removals);
}

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
key_of(PyObject *asked, Py_ssize_t i, char **key, Py_ssize_t *length)
{
    PyObject *known = PyList_GetItem(asked, i), *spot = known ? PyTuple_GetItem(known, READ) : NULL;
    PyObject *bytes = spot ? PyTuple_GetItem(spot, KEY) : NULL;

    return bytes && PyBytes_AsStringAndSize(bytes, key, length) == 0;
}

/* questions(asked, opaque) -> one `mg` for each */
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

/* ---- The module ---- */

#define FAST(function) {#function, (PyCFunction)(void (*)(void))function, METH_FASTCALL, NULL}

static PyMethodDef methods[] = {
    {"readers", readers, METH_O, NULL},
    {"removals", removals, METH_O, NULL},
    FAST(questions),
    FAST(answers),
    FAST(header),
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
