/* JSON bodies and every reader of members. */
#include <math.h>

#include "fuzz.h"
#include "json_read.h"
#include "json_write.h"
#include "utf8.h"

static void check_text(struct str text, size_t min, size_t max) {
    fuzz_check(utf8_valid(text) && memchr(text.ptr, '\0', text.len) == NULL);
    fuzz_check(utf8_length(text) >= min && utf8_length(text) <= max);
}

/* What is written of a number reads back as that number. */
static void check_number(double number) {
    struct buf out;
    buf_init(&out);
    jw_f64(&out, number);
    buf_add_char(&out, '\0');
    fuzz_check(strtod(out.ptr, NULL) == number);
    buf_fini(&out);
}

static void read_members(struct req *r, struct json_object *o) {
    struct str text, *items;
    struct uuid id;
    double number;
    bool flag;
    size_t count;
    if (jr_text(r, o, "a", JR_REQUIRED, 1, 8, &text)) check_text(text, 1, 8);
    if (jr_number(r, o, "a", JR_OPTIONAL, 0, 5, &number)) fuzz_check(isfinite(number) && number >= 0 && number <= 5);
    if (jr_number(r, o, "b", JR_OPTIONAL, -1e300, 1e300, &number)) check_number(number);
    (void)jr_bool(r, o, "a", JR_OPTIONAL, &flag);
    (void)jr_uuid(r, o, "a", JR_OPTIONAL, &id);
    if (!jr_text_list(r, o, "a", JR_OPTIONAL, 1, 4, 8, &items, &count)) return;
    fuzz_check(count >= 1 && count <= 4);
    for (size_t i = 0; i < count; i++) {
        check_text(items[i], 1, 8);
        for (size_t k = 0; k < i; k++) fuzz_check(!str_eq(items[i], items[k]));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fuzz_req f;
    struct json_object *o;
    fuzz_req_init(&f);
    f.r.body = str_from((const char *)data, size);
    if (jr_body(&f.r, &o) == RC_OK) {
        read_members(&f.r, o);
        /* What was taken for JSON is JSON when it is written again. */
        struct str again = str_of(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
        f.r.field_error_count = 0;
        fuzz_check(jr_parse_object(&f.r, "again", again, &o) == RC_OK);
    } else {
        fuzz_check(req_check(&f.r) == RC_BAD_INPUT);
    }
    fuzz_req_fini(&f);
    return 0;
}
