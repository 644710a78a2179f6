#include "page.h"

#include <math.h>

#include "../support/fake_rows.h"
#include "../support/fixture.h"
#include "base64.h"
#include "utf8.h"

static struct fixture f;
static void setup(void) {
    fixture_init(&f);
}
static void teardown(void) {
    fixture_fini(&f);
}
TestSuite(page, .init = setup, .fini = teardown);

static const struct page_sort sorts[] = {
    {"createdAt", PAGE_TIME}, {"count", PAGE_I64}, {"rate", PAGE_F64}, {"name", PAGE_TEXT}, {"isLocked", PAGE_BOOL}};
enum { SORTS = sizeof sorts / sizeof *sorts };
enum { COL_ID, COL_KEY, COL_TOTAL };
static const struct page_columns columns = {.id = COL_ID, .key = COL_KEY, .total = COL_TOTAL};

static struct page page;
static void parse(const char *query) {
    f.r.field_error_count = 0;
    fixture_query(&f, query);
    page_parse(&f.r, sorts, SORTS, &page);
}

Test(page, a_first_page) {
    parse("limit=100&sortBy=rate&sortDirection=ASCENDING&cursor=&idAfter=");
    cr_assert_eq(req_check(&f.r), RC_OK);
    cr_assert_eq(page.limit, 100);
    cr_assert_eq(page.sort, 2);
    cr_assert_not(page.descending);
    cr_assert_not(page.continued);
    parse("limit=1&sortBy=createdAt&sortDirection=DESCENDING");
    cr_assert_eq(req_check(&f.r), RC_OK);
    cr_assert(page.descending);
}

Test(page, what_is_missing_is_named) {
    parse("");
    cr_assert_eq(f.r.field_error_count, 3u);
    cr_assert_eq(fixture_error(&f, "limit"), (int)MSG_REQUIRED);
    cr_assert_eq(fixture_error(&f, "sortBy"), (int)MSG_REQUIRED);
    cr_assert_eq(fixture_error(&f, "sortDirection"), (int)MSG_REQUIRED);
}

Test(page, bad_limits) {
    static const char *const bad[] = {"0", "101", "-1", "abc", "1e3", "1.0", "+1", "%201", "0x10", "99999999999999999999", "1,0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        parse(arena_printf(&f.arena, "limit=%s&sortBy=rate&sortDirection=ASCENDING", bad[i]));
        cr_assert(fixture_error(&f, "limit") == MSG_RANGE || fixture_error(&f, "limit") == MSG_NOT_NUMBER, "%s", bad[i]);
        cr_assert_eq(f.r.field_error_count, 1u);
    }
}

Test(page, bad_sorts) {
    static const char *const bad[] = {"sortBy=x&sortDirection=ASCENDING", "sortBy=Rate&sortDirection=ASCENDING",
                                      "sortBy=rat&sortDirection=ASCENDING", "sortBy=rate&sortDirection=ascending",
                                      "sortBy=rate&sortDirection=DESC"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        parse(arena_printf(&f.arena, "limit=5&%s", bad[i]));
        cr_assert_eq(fixture_error(&f, i < 3 ? "sortBy" : "sortDirection"), (int)MSG_NOT_ONE_OF, "%s", bad[i]);
    }
}

#define ID "0190a000-0000-7000-8000-000000000001"
#define OTHER_ID "0190a000-0000-7000-8000-000000000002"

/* Fields noted for a cursor of this decoded text. */
static int cursor_error(const char *sort, const char *direction, const char *text, size_t len) {
    struct str cursor = base64url_encode(&f.arena, str_from(text, len));
    parse(arena_printf(&f.arena, "limit=5&sortBy=%s&sortDirection=%s&cursor=%.*s", sort, direction, (int)cursor.len, cursor.ptr));
    return fixture_error(&f, "cursor");
}
#define CURSOR(sort, literal) cursor_error(sort, "DESCENDING", literal, sizeof(literal) - 1)

Test(page, foreign_and_broken_cursors_are_refused) {
    cr_assert_eq(CURSOR("rate", "1|rate|D|" ID "|2.5"), -1);
    cr_assert_eq(page.after.value.f64, 2.5);
    cr_assert(page.continued);
    cr_assert_eq(CURSOR("createdAt", "1|rate|D|" ID "|2"), (int)MSG_BAD_CURSOR);
    cr_assert_eq(cursor_error("rate", "ASCENDING", "1|rate|D|" ID "|2", sizeof "1|rate|D|" ID "|2" - 1), (int)MSG_BAD_CURSOR);
    cr_assert_eq(CURSOR("rate", "2|rate|D|" ID "|2.5"), (int)MSG_BAD_CURSOR);
    cr_assert_eq(CURSOR("rate", "1|rate|D|" ID), (int)MSG_BAD_CURSOR);
    cr_assert_eq(CURSOR("rate", "1|rate|D|" ID "|"), (int)MSG_BAD_CURSOR);
    cr_assert_eq(CURSOR("rate", "1|rate|D|x|2.5"), (int)MSG_BAD_CURSOR);
    cr_assert_eq(CURSOR("rate", "1|rate|D"), (int)MSG_BAD_CURSOR);
    cr_assert_eq(CURSOR("rate", "1"), (int)MSG_BAD_CURSOR);
    static const char *const bad_f64[] = {"nan", "NaN", "inf", "-Infinity", "1e999", "0x1p3", "2.5 ", "2,5"};
    for (size_t i = 0; i < sizeof bad_f64 / sizeof *bad_f64; i++) {
        const char *text = arena_printf(&f.arena, "1|rate|D|" ID "|%s", bad_f64[i]);
        cr_assert_eq(cursor_error("rate", "DESCENDING", text, strlen(text)), (int)MSG_BAD_CURSOR, "%s", bad_f64[i]);
    }
    cr_assert_eq(CURSOR("rate", "1|rate|D|" ID "|2.5\0"), (int)MSG_BAD_CURSOR);
    cr_assert_eq(CURSOR("count", "1|count|D|" ID "|1.5"), (int)MSG_BAD_CURSOR);
    cr_assert_eq(CURSOR("count", "1|count|D|" ID "|9223372036854775808"), (int)MSG_BAD_CURSOR);
    cr_assert_eq(CURSOR("isLocked", "1|isLocked|D|" ID "|2"), (int)MSG_BAD_CURSOR);
    cr_assert_eq(CURSOR("isLocked", "1|isLocked|D|" ID "|t"), (int)MSG_BAD_CURSOR);
    cr_assert_eq(CURSOR("createdAt", "1|createdAt|D|" ID "|9223372036854775807"), (int)MSG_BAD_CURSOR);
    cr_assert_eq(CURSOR("createdAt", "1|createdAt|D|" ID "|-9223372036854775808"), (int)MSG_BAD_CURSOR);
    cr_assert_eq(CURSOR("createdAt", "1|createdAt|D|" ID "|2026-01-31"), (int)MSG_BAD_CURSOR);
    cr_assert_eq(CURSOR("name", "1|name|D|" ID "|\xff"), (int)MSG_BAD_CURSOR);
    cr_assert_eq(CURSOR("name", "1|name|D|" ID "|a\0b"), (int)MSG_BAD_CURSOR);
    cr_assert_eq(CURSOR("name", "1|name|D|" ID "|"), -1);
    cr_assert_eq(CURSOR("name", "1|name|D|" ID "|a|b||"), -1);
    assert_str(page.after.text, STR("a|b||"));
}

Test(page, cursors_that_are_no_base64url_or_too_long) {
    static const char *const bad[] = {"x", "!!!!", "MXw=", "a%20b", "MXxyYXRl%0A", "null", "undefined", "%F0%9F%8E%AC"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        parse(arena_printf(&f.arena, "limit=5&sortBy=rate&sortDirection=ASCENDING&cursor=%s", bad[i]));
        cr_assert_eq(fixture_error(&f, "cursor"), (int)MSG_BAD_CURSOR, "%s", bad[i]);
        cr_assert_not(page.continued);
    }
    char text[2000] = "1|name|D|" ID "|";
    size_t head = strlen(text);
    memset(text + head, 'a', sizeof text - head);
    cr_assert_eq(cursor_error("name", "DESCENDING", text, 1536), -1, "2,048 characters");
    cr_assert_eq(cursor_error("name", "DESCENDING", text, 1537), (int)MSG_BAD_CURSOR, "2,050 characters");
}

Test(page, id_after) {
    struct str cursor = base64url_encode(&f.arena, STR("1|rate|D|" ID "|2.5"));
    const char *start =
        arena_printf(&f.arena, "limit=5&sortBy=rate&sortDirection=DESCENDING&cursor=%.*s", (int)cursor.len, cursor.ptr);
    struct uuid other;
    cr_assert(uuid_parse(STR(OTHER_ID), &other));
    parse(arena_printf(&f.arena, "%s&idAfter=" OTHER_ID, start));
    cr_assert_eq(req_check(&f.r), RC_OK);
    cr_assert(uuid_eq(page.after.id, other));
    parse(start);
    cr_assert_not(uuid_eq(page.after.id, other));
    parse(arena_printf(&f.arena, "%s&idAfter=x", start));
    cr_assert_eq(fixture_error(&f, "idAfter"), (int)MSG_NOT_UUID);
    parse("limit=5&sortBy=rate&sortDirection=DESCENDING&idAfter=" OTHER_ID);
    cr_assert_neq(fixture_error(&f, "idAfter"), -1);
}

static int64_t wire_i64(const struct db_params *p, int i) {
    uint64_t wire;
    cr_assert_eq(p->lengths[i], 8);
    memcpy(&wire, p->values[i], sizeof wire);
    return (int64_t)be64toh(wire);
}

static double wire_f64(const struct db_params *p, int i) {
    int64_t bits = wire_i64(p, i);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

Test(page, a_first_page_starts_before_the_first_key) {
    struct db_params p;
    for (int sort = 0; sort < SORTS; sort++) {
        for (int descending = 0; descending <= 1; descending++) {
            dbp_init(&p);
            dbp_bool(&p, true);
            page_params(&p, &(struct page){.limit = 20, .descending = descending, .sort = sort, .sorts = sorts});
            cr_assert_eq(p.count, 4);
            cr_assert_eq(wire_i64(&p, 3), 21);
            for (int i = 0; i < 16; i++) cr_assert_eq((unsigned char)p.values[2][i], descending ? 0xff : 0);
            switch (sorts[sort].key) {
            case PAGE_TIME:
            case PAGE_I64:
                cr_assert_eq(wire_i64(&p, 1), descending ? INT64_MAX : INT64_MIN);
                break;
            case PAGE_F64:
                cr_assert_eq(wire_f64(&p, 1), descending ? INFINITY : -INFINITY);
                break;
            case PAGE_TEXT:
                cr_assert_eq(p.lengths[1], descending ? 1024 : 0);
                cr_assert(utf8_valid(str_from(p.values[1], (size_t)p.lengths[1])));
                cr_assert(!descending || memcmp(p.values[1], "\xf4\x8f\xbf\xbf", 4) == 0);
                cr_assert_not_null(p.values[1]);
                break;
            case PAGE_BOOL:
                cr_assert_eq(p.lengths[1], 1);
                cr_assert_eq(p.values[1][0], descending ? 1 : 0);
                break;
            }
        }
    }
}

static void write_id(struct buf *out, const struct db_rows *rows, int row) {
    jw_uuid(out, db_uuid(rows, row, COL_ID));
}

/* `count` rows whose last column is the total, keys filled by the caller. */
static struct db_rows make_rows(int count) {
    struct db_rows rows = fake_rows(3);
    for (int i = 0; i < count; i++) {
        fake_uuid(&rows, i, COL_ID, arena_printf(&f.arena, "0190a000-0000-7000-8000-%012d", i + 1));
        fake_null(&rows, i, COL_KEY);
        fake_i64(&rows, i, COL_TOTAL, 77);
    }
    return rows;
}

Test(page, an_empty_page_still_has_its_total) {
    parse("limit=2&sortBy=rate&sortDirection=ASCENDING");
    struct db_rows rows = make_rows(1);
    fake_null(&rows, 0, COL_ID);
    page_write(&f.r, &page, &rows, columns, write_id);
    assert_str(buf_str(&f.out), STR("{\"data\":[],\"nextCursor\":null,\"nextIdAfter\":null,\"hasNext\":false,\"totalCount\":77,"
                                    "\"sortBy\":\"rate\",\"sortDirection\":\"ASCENDING\"}"));
    PQclear(rows.result);
    rows = fake_rows(3);
    buf_reset(&f.out, 0);
    page_write(&f.r, &page, &rows, columns, write_id);
    cr_assert(str_has(buf_str(&f.out), "\"totalCount\":0,"));
    PQclear(rows.result);
}

Test(page, a_full_last_page_has_no_next) {
    parse("limit=2&sortBy=rate&sortDirection=DESCENDING");
    struct db_rows rows = make_rows(2);
    page_write(&f.r, &page, &rows, columns, write_id);
    assert_str(buf_str(&f.out),
               STR("{\"data\":[\"" ID "\",\"" OTHER_ID "\"],\"nextCursor\":null,\"nextIdAfter\":null,\"hasNext\":false,"
                   "\"totalCount\":77,\"sortBy\":\"rate\",\"sortDirection\":\"DESCENDING\"}"));
    PQclear(rows.result);
}

/* The cursor of the answer in f.out, back through the parser. */
static void follow_cursor(int sort, bool descending) {
    struct str body = buf_str(&f.out);
    static const char mark[] = "\"nextCursor\":\"";
    const char *at = memmem(body.ptr, body.len, mark, sizeof mark - 1);
    cr_assert_not_null(at);
    at += sizeof mark - 1;
    struct str rest = str_from(at, body.len - (size_t)(at - body.ptr));
    struct str cursor = str_cut(&rest, '"');
    parse(arena_printf(&f.arena, "limit=2&sortBy=%s&sortDirection=%s&cursor=%.*s&idAfter=" OTHER_ID, sorts[sort].name,
                       descending ? "DESCENDING" : "ASCENDING", (int)cursor.len, cursor.ptr));
    cr_assert_eq(req_check(&f.r), RC_OK, "%s", sorts[sort].name);
    cr_assert(page.continued);
}

static void fake_key(struct db_rows *rows, int row, int sort, int variant) {
    static const double rates[] = {0.1, 1.0 / 3.0, -1e-300, 4.999999999999999};
    static const char *const names[] = {"", "a|b|", "해🎬", "\xf4\x8f\xbf\xbf"};
    static const int64_t times[] = {INT64_C(1769851800123456), 0, -1, INT64_C(253402300799999999)};
    static const int64_t counts[] = {0, -5, INT64_MAX, INT64_MIN};
    switch (sorts[sort].key) {
    case PAGE_TIME:
        fake_time(rows, row, COL_KEY, times[variant]);
        break;
    case PAGE_I64:
        fake_i64(rows, row, COL_KEY, counts[variant]);
        break;
    case PAGE_F64:
        fake_f64(rows, row, COL_KEY, rates[variant]);
        break;
    case PAGE_TEXT:
        fake_text(rows, row, COL_KEY, names[variant]);
        break;
    case PAGE_BOOL:
        fake_bool(rows, row, COL_KEY, variant % 2);
        break;
    }
}

Test(page, a_cursor_brings_back_its_key_exactly) {
    for (int sort = 0; sort < SORTS; sort++) {
        for (int variant = 0; variant < 4; variant++) {
            struct page asked = {.limit = 2, .descending = variant % 2, .sort = sort, .sorts = sorts};
            struct db_rows rows = make_rows(4);
            struct db_params p;
            fake_key(&rows, 1, sort, variant);
            buf_reset(&f.out, 0);
            page_write(&f.r, &asked, &rows, columns, write_id);
            cr_assert(str_has(buf_str(&f.out), "{\"data\":[\"" ID "\",\"" OTHER_ID "\"],"));
            cr_assert(str_has(buf_str(&f.out), "\"nextIdAfter\":\"" OTHER_ID "\",\"hasNext\":true,\"totalCount\":77,"));
            follow_cursor(sort, asked.descending);
            dbp_init(&p);
            page_params(&p, &page);
            assert_str(str_from(p.values[0], (size_t)p.lengths[0]), db_text(&rows, 1, COL_KEY));
            assert_str(str_from(p.values[1], 16), db_text(&rows, 1, COL_ID));
            PQclear(rows.result);
        }
    }
}
