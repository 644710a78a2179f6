#include "page.h"

#include <math.h>

#include "base64.h"
#include "utf8.h"

enum { LIMIT_DEFAULT = 20, CURSOR_BYTES_MAX = 2048, GREATEST_TEXT_POINTS = 256 };

/* Times that both the wire form and PostgreSQL can hold: years 0001 to 9999. */
static const int64_t TIME_MIN_US = -62135596800000000, TIME_MAX_US = 253402300799999999;

/* U+10FFFF over and over sorts behind every text of fewer code points under COLLATE "C". */
#define GREATEST_4 "\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf\xf4\x8f\xbf\xbf"
#define GREATEST_16 GREATEST_4 GREATEST_4 GREATEST_4 GREATEST_4
#define GREATEST_64 GREATEST_16 GREATEST_16 GREATEST_16 GREATEST_16
static const char greatest_text[] = GREATEST_64 GREATEST_64 GREATEST_64 GREATEST_64;
_Static_assert(sizeof greatest_text == GREATEST_TEXT_POINTS * 4 + 1, "as long as the longest sort key");

/* The three start from their defaults: an absent parameter keeps its own, or is noted if it is required. */
static void parse_limit(struct req *r, bool required, struct page *out) {
    struct str text = http_param(&r->query, "limit");
    int64_t limit;
    if (!text.ptr) {
        if (required) req_invalid(r, "limit", MSG_REQUIRED, 0, 0);
    } else if (!str_to_i64(text, &limit)) {
        req_invalid(r, "limit", MSG_NOT_NUMBER, 0, 0);
    } else if (limit < 1 || limit > PAGE_LIMIT_MAX) {
        req_invalid(r, "limit", MSG_RANGE, 1, PAGE_LIMIT_MAX);
    } else {
        out->limit = (int)limit;
    }
}

static bool parse_sort(struct req *r, bool required, size_t count, struct page *out) {
    struct str text = http_param(&r->query, "sortBy");
    if (!text.ptr && !required) return true;
    for (size_t i = 0; i < count; i++) {
        if (!str_eq(text, str_of(out->sorts[i].name))) continue;
        out->sort = (int)i;
        return true;
    }
    req_invalid(r, "sortBy", text.ptr ? MSG_NOT_ONE_OF : MSG_REQUIRED, 0, 0);
    return false;
}

static bool parse_direction(struct req *r, bool required, struct page *out) {
    struct str text = http_param(&r->query, "sortDirection");
    if (!text.ptr && !required) return true;
    out->descending = str_eq(text, STR("DESCENDING"));
    if (out->descending || str_eq(text, STR("ASCENDING"))) return true;
    req_invalid(r, "sortDirection", text.ptr ? MSG_NOT_ONE_OF : MSG_REQUIRED, 0, 0);
    return false;
}

static bool read_key(enum page_key key, struct str value, struct page_place *out) {
    switch (key) {
    case PAGE_TIME:
        return str_to_i64(value, &out->value.i64) && out->value.i64 >= TIME_MIN_US && out->value.i64 <= TIME_MAX_US;
    case PAGE_I64:
        return str_to_i64(value, &out->value.i64);
    case PAGE_F64:
        return str_to_f64(value, &out->value.f64);
    case PAGE_BOOL:
        return str_to_i64(value, &out->value.i64) && (out->value.i64 == 0 || out->value.i64 == 1);
    case PAGE_TEXT:
        out->text = value;
        return utf8_valid(value) && !memchr(value.ptr, '\0', value.len);
    }
    return false;
}

/* A cursor is base64url of "1|sortBy|A or D|id|key": the version, what the list was sorted by, and where the page ended. The key
 * comes last since a text may hold anything. */
static bool read_cursor(struct req *r, struct str text, struct page *out) {
    const struct page_sort *sort = &out->sorts[out->sort];
    struct str rest;
    if (text.len > CURSOR_BYTES_MAX || !base64url_decode(r->arena, text, &rest)) return false;
    bool good = str_eq(str_cut(&rest, '|'), STR("1")) && str_eq(str_cut(&rest, '|'), str_of(sort->name)) &&
                str_eq(str_cut(&rest, '|'), out->descending ? STR("D") : STR("A")) &&
                uuid_parse(str_cut(&rest, '|'), &out->after.id);
    return good && rest.ptr && read_key(sort->key, rest, &out->after);
}

static void parse(struct req *r, bool required, const struct page_sort *sorts, size_t count, struct page *out) {
    *out = (struct page){.limit = LIMIT_DEFAULT, .descending = true, .sorts = sorts};
    parse_limit(r, required, out);
    bool sorted = parse_sort(r, required, count, out);
    sorted = parse_direction(r, required, out) && sorted;
    struct str cursor = http_param(&r->query, "cursor");
    struct uuid after;
    bool has_after = req_query_uuid(r, "idAfter", false, &after);
    if (cursor.ptr && sorted) {
        out->continued = read_cursor(r, cursor, out);
        if (!out->continued) req_invalid(r, "cursor", MSG_BAD_CURSOR, 0, 0);
    }
    if (!has_after) return;
    if (!cursor.ptr) req_invalid(r, "idAfter", MSG_BAD_CURSOR, 0, 0);
    out->after.id = after;
}

void page_parse(struct req *r, const struct page_sort *sorts, size_t count, struct page *out) {
    parse(r, true, sorts, count, out);
}

void page_parse_optional(struct req *r, const struct page_sort *sorts, size_t count, struct page *out) {
    parse(r, false, sorts, count, out);
}

static void push_key(struct db_params *p, const struct page *page) {
    bool from_end = !page->continued && page->descending, from_start = !page->continued && !page->descending;
    switch (page->sorts[page->sort].key) {
    case PAGE_TIME:
        dbp_time(p, from_end ? INT64_MAX : from_start ? INT64_MIN : page->after.value.i64);
        break;
    case PAGE_I64:
        dbp_i64(p, from_end ? INT64_MAX : from_start ? INT64_MIN : page->after.value.i64);
        break;
    case PAGE_F64:
        dbp_f64(p, from_end ? (double)INFINITY : from_start ? -(double)INFINITY : page->after.value.f64);
        break;
    case PAGE_BOOL:
        dbp_bool(p, from_end || (page->continued && page->after.value.i64 == 1));
        break;
    case PAGE_TEXT:
        dbp_text(p, from_end ? str_from(greatest_text, sizeof greatest_text - 1) : from_start ? STR("") : page->after.text);
        break;
    }
}

void page_params(struct db_params *p, const struct page *page) {
    struct uuid after = page->after.id;
    if (!page->continued) memset(after.bytes, page->descending ? 0xff : 0, sizeof after.bytes);
    push_key(p, page);
    dbp_uuid(p, after);
    dbp_i64(p, page->limit + 1);
}

static struct str write_cursor(struct req *r, const struct page *page, const struct page_place *place) {
    const struct page_sort *sort = &page->sorts[page->sort];
    char id[UUID_TEXT_LEN + 1];
    const char *head = arena_printf(r->arena, "1|%s|%c|%s|", sort->name, page->descending ? 'D' : 'A', uuid_cstr(place->id, id));
    if (sort->key == PAGE_TEXT) {
        head = arena_printf(r->arena, "%s%.*s", head, (int)place->text.len, place->text.ptr ? place->text.ptr : "");
    } else if (sort->key == PAGE_F64) {
        head = arena_printf(r->arena, "%s%.17g", head, place->value.f64);
    } else {
        head = arena_printf(r->arena, "%s%lld", head, (long long)place->value.i64);
    }
    return base64url_encode(r->arena, str_of(head));
}

static struct page_place place_of(const struct page *page, const struct db_rows *rows, int row, struct page_columns columns) {
    struct page_place place = {.id = db_uuid(rows, row, columns.id)};
    switch (page->sorts[page->sort].key) {
    case PAGE_TIME:
        place.value.i64 = db_time(rows, row, columns.key);
        break;
    case PAGE_I64:
        place.value.i64 = db_i64(rows, row, columns.key);
        break;
    case PAGE_F64:
        place.value.f64 = db_f64(rows, row, columns.key);
        break;
    case PAGE_BOOL:
        place.value.i64 = db_bool(rows, row, columns.key);
        break;
    case PAGE_TEXT:
        place.text = db_text(rows, row, columns.key);
        break;
    }
    return place;
}

void page_begin(struct req *r) {
    jw_object(r->out);
    jw_key(r->out, "data");
    jw_array(r->out);
}

void page_end_at(struct req *r, const struct page *page, const struct page_place *last, int64_t total) {
    jw_array_end(r->out);
    jw_key(r->out, "nextCursor");
    jw_str(r->out, last ? write_cursor(r, page, last) : (struct str){0});
    jw_key(r->out, "nextIdAfter");
    if (last) {
        jw_uuid(r->out, last->id);
    } else {
        jw_null(r->out);
    }
    jw_key(r->out, "hasNext");
    jw_bool(r->out, last != NULL);
    jw_key(r->out, "totalCount");
    jw_i64(r->out, total);
    jw_key(r->out, "sortBy");
    jw_str(r->out, str_of(page->sorts[page->sort].name));
    jw_key(r->out, "sortDirection");
    jw_str(r->out, page->descending ? STR("DESCENDING") : STR("ASCENDING"));
    jw_object_end(r->out);
}

void page_end(struct req *r, const struct page *page, bool has_next, const struct db_rows *rows, int last_row,
              struct page_columns columns, int64_t total) {
    struct page_place last;
    if (has_next) last = place_of(page, rows, last_row, columns);
    page_end_at(r, page, has_next ? &last : NULL, total);
}

void page_write(struct req *r, const struct page *page, const struct db_rows *rows, struct page_columns columns,
                void (*item)(struct buf *out, const struct db_rows *rows, int row)) {
    int written = 0, last_row = 0;
    bool has_next = false;
    page_begin(r);
    for (int row = 0; row < rows->count && !has_next; row++) {
        if (db_null(rows, row, columns.id)) continue;
        if (written == page->limit) {
            has_next = true;
        } else {
            item(r->out, rows, row);
            last_row = row;
            written++;
        }
    }
    page_end(r, page, has_next, rows, last_row, columns, rows->count > 0 ? db_i64(rows, 0, columns.total) : 0);
}
