/* Rows made by hand, in the binary forms that PostgreSQL sends, for what reads rows without a server. */
#ifndef MOPL_TEST_FAKE_ROWS_H
#define MOPL_TEST_FAKE_ROWS_H

#include <criterion/criterion.h>
#include <endian.h>

#include "db.h"

/* Empty rows of `columns` binary columns. PQclear(rows.result) ends them. */
static inline struct db_rows fake_rows(int columns) {
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc attributes[32] = {0};
    char name[] = "c";
    cr_assert_leq(columns, 32);
    for (int i = 0; i < columns; i++) {
        attributes[i].name = name;
        attributes[i].format = 1;
    }
    cr_assert(PQsetResultAttrs(result, columns, attributes));
    return (struct db_rows){.result = result};
}

static inline void fake_bytes(struct db_rows *rows, int row, int column, const void *bytes, int len) {
    char copy[2048];
    cr_assert_lt((size_t)len, sizeof copy);
    if (len > 0) memcpy(copy, bytes, (size_t)len);
    cr_assert(PQsetvalue(rows->result, row, column, copy, len));
    rows->count = PQntuples(rows->result);
}

static inline void fake_null(struct db_rows *rows, int row, int column) {
    cr_assert(PQsetvalue(rows->result, row, column, NULL, -1));
    rows->count = PQntuples(rows->result);
}

static inline void fake_text(struct db_rows *rows, int row, int column, const char *text) {
    fake_bytes(rows, row, column, text, (int)strlen(text));
}

static inline void fake_i64(struct db_rows *rows, int row, int column, int64_t value) {
    uint64_t wire = htobe64((uint64_t)value);
    fake_bytes(rows, row, column, &wire, sizeof wire);
}

static inline void fake_i32(struct db_rows *rows, int row, int column, int32_t value) {
    uint32_t wire = htobe32((uint32_t)value);
    fake_bytes(rows, row, column, &wire, sizeof wire);
}

static inline void fake_f64(struct db_rows *rows, int row, int column, double value) {
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    fake_i64(rows, row, column, bits);
}

static inline void fake_bool(struct db_rows *rows, int row, int column, bool value) {
    fake_bytes(rows, row, column, value ? "\1" : "\0", 1);
}

/* `us` since 1970; PostgreSQL counts from 2000. */
static inline void fake_time(struct db_rows *rows, int row, int column, int64_t us) {
    fake_i64(rows, row, column, us - INT64_C(946684800000000));
}

static inline void fake_uuid(struct db_rows *rows, int row, int column, const char *text) {
    struct uuid id;
    cr_assert(uuid_parse(str_of(text), &id));
    fake_bytes(rows, row, column, id.bytes, sizeof id.bytes);
}

/* text[] of one dimension. */
static inline void fake_texts(struct db_rows *rows, int row, int column, const char *const *items, uint32_t count) {
    char wire[1024];
    size_t len = 0;
    uint32_t head[] = {htobe32(count > 0), 0, htobe32(25), htobe32(count), htobe32(1)};
    memcpy(wire, head, sizeof head);
    len = count > 0 ? sizeof head : 12;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bytes = (uint32_t)strlen(items[i]), swapped = htobe32(bytes);
        memcpy(wire + len, &swapped, sizeof swapped);
        memcpy(wire + len + sizeof swapped, items[i], bytes);
        len += sizeof swapped + bytes;
    }
    fake_bytes(rows, row, column, wire, (int)len);
}

#endif
