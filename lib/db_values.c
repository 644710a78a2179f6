/* Binary forms of parameters and columns (PostgreSQL's send/recv formats: big-endian, times from 2000-01-01). */
#include "db.h"

#include <assert.h>
#include <endian.h>

#include "mem.h"

static const int64_t EPOCH_2000_US = INT64_C(946684800000000);
enum { OID_INT8 = 20, OID_TEXT = 25, OID_UUID = 2950 };

/* Parameters */

void dbp_init(struct db_params *p) {
    p->count = 0;
}

static int add(struct db_params *p, const char *value, size_t len) {
    assert(p->count < DB_PARAMS_MAX);
    assert(len <= INT32_MAX);
    int i = p->count++;
    p->values[i] = value;
    p->lengths[i] = (int)len;
    p->formats[i] = 1;
    return i;
}

static void add_copy(struct db_params *p, const void *bytes, size_t len) {
    int i = add(p, NULL, len);
    assert(len <= sizeof p->scratch[i]);
    memcpy(p->scratch[i], bytes, len);
    p->values[i] = p->scratch[i];
}

void dbp_null(struct db_params *p) {
    add(p, NULL, 0);
}

void dbp_uuid(struct db_params *p, struct uuid id) {
    add_copy(p, id.bytes, sizeof id.bytes);
}

void dbp_text(struct db_params *p, struct str text) {
    add(p, text.ptr, text.len);
}

void dbp_bytes(struct db_params *p, struct str bytes) {
    add(p, bytes.ptr, bytes.len);
}

void dbp_i64(struct db_params *p, int64_t value) {
    uint64_t wire = htobe64((uint64_t)value);
    add_copy(p, &wire, sizeof wire);
}

void dbp_f64(struct db_params *p, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    dbp_i64(p, (int64_t)bits);
}

void dbp_bool(struct db_params *p, bool value) {
    char wire = value ? 1 : 0;
    add_copy(p, &wire, 1);
}

void dbp_time(struct db_params *p, int64_t us) {
    if (us != INT64_MAX && us != INT64_MIN && __builtin_sub_overflow(us, EPOCH_2000_US, &us)) us = INT64_MIN;
    dbp_i64(p, us);
}

static char *put_u32(char *at, uint32_t value) {
    uint32_t wire = htobe32(value);
    memcpy(at, &wire, sizeof wire);
    return at + sizeof wire;
}

/* dimensions, has-null flag, element type, then length and lower bound of the one dimension. */
static char *put_array_head(char *at, uint32_t type, size_t count, bool has_null) {
    at = put_u32(at, count > 0 ? 1 : 0);
    at = put_u32(at, has_null ? 1 : 0);
    at = put_u32(at, type);
    if (count == 0) return at;
    at = put_u32(at, (uint32_t)count);
    return put_u32(at, 1);
}

void dbp_text_array(struct db_params *p, struct arena *a, const struct str *items, size_t count) {
    assert(count <= INT32_MAX);
    size_t bytes = 20;
    bool has_null = false;
    for (size_t i = 0; i < count; i++) {
        bytes += 4 + items[i].len;
        has_null |= items[i].ptr == NULL;
    }
    char *start = arena_alloc(a, bytes);
    char *at = put_array_head(start, OID_TEXT, count, has_null);
    for (size_t i = 0; i < count; i++) {
        at = put_u32(at, items[i].ptr ? (uint32_t)items[i].len : UINT32_MAX);
        if (items[i].len > 0) memcpy(at, items[i].ptr, items[i].len);
        at += items[i].len;
    }
    add(p, start, (size_t)(at - start));
}

void dbp_uuid_array(struct db_params *p, struct arena *a, const struct uuid *items, size_t count) {
    assert(count <= INT32_MAX / 32);
    char *start = arena_alloc(a, 20 + count * (4 + sizeof items->bytes));
    char *at = put_array_head(start, OID_UUID, count, false);
    for (size_t i = 0; i < count; i++) {
        at = put_u32(at, sizeof items->bytes);
        memcpy(at, items[i].bytes, sizeof items->bytes);
        at += sizeof items->bytes;
    }
    add(p, start, (size_t)(at - start));
}

void dbp_i64_array(struct db_params *p, struct arena *a, const int64_t *items, size_t count) {
    assert(count <= INT32_MAX / 16);
    char *start = arena_alloc(a, 20 + count * (4 + sizeof *items));
    char *at = put_array_head(start, OID_INT8, count, false);
    for (size_t i = 0; i < count; i++) {
        uint64_t wire = htobe64((uint64_t)items[i]);
        at = put_u32(at, sizeof wire);
        memcpy(at, &wire, sizeof wire);
        at += sizeof wire;
    }
    add(p, start, (size_t)(at - start));
}

/* Columns */

bool db_null(const struct db_rows *rows, int row, int column) {
    return PQgetisnull(rows->result, row, column) != 0;
}

struct str db_text(const struct db_rows *rows, int row, int column) {
    if (db_null(rows, row, column)) return str_from(NULL, 0);
    return str_from(PQgetvalue(rows->result, row, column), (size_t)PQgetlength(rows->result, row, column));
}

int64_t db_i64(const struct db_rows *rows, int row, int column) {
    struct str raw = db_text(rows, row, column);
    uint64_t wide;
    uint32_t word;
    uint16_t half;
    switch (raw.len) {
    case sizeof wide:
        memcpy(&wide, raw.ptr, sizeof wide);
        return (int64_t)be64toh(wide);
    case sizeof word:
        memcpy(&word, raw.ptr, sizeof word);
        return (int32_t)be32toh(word);
    case sizeof half:
        memcpy(&half, raw.ptr, sizeof half);
        return (int16_t)be16toh(half);
    default:
        assert(raw.len == 0);
        return 0;
    }
}

double db_f64(const struct db_rows *rows, int row, int column) {
    assert(db_null(rows, row, column) || PQgetlength(rows->result, row, column) == sizeof(double));
    int64_t bits = db_i64(rows, row, column);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

bool db_bool(const struct db_rows *rows, int row, int column) {
    struct str raw = db_text(rows, row, column);
    return raw.len == 1 && raw.ptr[0] != 0;
}

struct uuid db_uuid(const struct db_rows *rows, int row, int column) {
    struct uuid id = {{0}};
    struct str raw = db_text(rows, row, column);
    if (raw.len == sizeof id.bytes) memcpy(id.bytes, raw.ptr, sizeof id.bytes);
    return id;
}

int64_t db_time(const struct db_rows *rows, int row, int column) {
    if (db_null(rows, row, column)) return 0;
    int64_t us = db_i64(rows, row, column);
    if (us == INT64_MAX || us == INT64_MIN) return us;
    return __builtin_add_overflow(us, EPOCH_2000_US, &us) ? INT64_MAX : us;
}

static uint32_t get_u32(const char *at) {
    uint32_t wire;
    memcpy(&wire, at, sizeof wire);
    return be32toh(wire);
}

struct db_array db_array(const struct db_rows *rows, int row, int column) {
    struct str raw = db_text(rows, row, column);
    if (raw.len < 20 || get_u32(raw.ptr) != 1) return (struct db_array){NULL, 0};
    return (struct db_array){raw.ptr + 20, (int)get_u32(raw.ptr + 12)};
}

bool db_array_next(struct db_array *array, struct str *item) {
    while (array->left > 0) {
        array->left--;
        uint32_t len = get_u32(array->at);
        array->at += 4;
        if (len == UINT32_MAX) continue;
        *item = str_from(array->at, len);
        array->at += len;
        return true;
    }
    return false;
}
