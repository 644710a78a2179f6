#include "../support/fixture.h"
#include "multipart.h"

static struct arena arena;
static struct multipart m;
static void setup(void) {
    arena_init(&arena);
}
static void teardown(void) {
    arena_fini(&arena);
}
TestSuite(multipart, .init = setup, .fini = teardown);

#define TYPE "multipart/form-data; boundary=B"
#define PART "Content-Disposition: form-data; name=\"a\"\r\n\r\n"

static enum rc parse_bytes(const char *type, const char *body, size_t len) {
    return multipart_parse(&arena, str_of(type), fixture_exact(&arena, body, len), &m);
}
#define PARSE(type, literal) parse_bytes(type, literal, sizeof(literal) - 1)

Test(multipart, what_a_browser_sends) {
    static const char body[] = "------WebKitFormBoundaryX1\r\n"
                               "Content-Disposition: form-data; name=\"request\"; filename=\"blob\"\r\n"
                               "Content-Type: application/json\r\n\r\n"
                               "{\"title\":\"해\"}\r\n"
                               "------WebKitFormBoundaryX1\r\n"
                               "content-disposition: form-data; name=\"thumbnail\"; filename=\"나의 %22사진%22 (1).png\"\r\n"
                               "Content-Type: image/png\r\n\r\n"
                               "\x89PNG\r\n\x1a\n\0\r\n--\r\n------WebKitFormBoundary\r\n"
                               "\r\n------WebKitFormBoundaryX1--\r\n";
    cr_assert_eq(PARSE("multipart/form-data; boundary=----WebKitFormBoundaryX1", body), RC_OK);
    cr_assert_eq(m.count, 2u);
    const struct multipart_part *request = multipart_find(&m, "request"), *file = multipart_find(&m, "thumbnail");
    assert_str(request->filename, STR("blob"));
    assert_str(request->content_type, STR("application/json"));
    assert_str(request->data, STR("{\"title\":\"해\"}"));
    assert_str(file->filename, STR("나의 \"사진\" (1).png"));
    assert_str(file->data, STR("\x89PNG\r\n\x1a\n\0\r\n--\r\n------WebKitFormBoundary\r\n"));
    cr_assert_null(multipart_find(&m, "image"));
}

Test(multipart, odd_but_well_formed) {
    cr_assert_eq(PARSE(TYPE, "--B--"), RC_OK);
    cr_assert_eq(m.count, 0u);
    cr_assert_eq(PARSE(TYPE, "preamble\r\n--B \t\r\n" PART "\r\n--B--epilogue"), RC_OK);
    cr_assert_eq(m.count, 1u);
    cr_assert_eq(m.parts[0].data.len, 0u);
    cr_assert_not_null(m.parts[0].data.ptr);
    cr_assert_null(m.parts[0].filename.ptr);
    cr_assert_null(m.parts[0].content_type.ptr);
    cr_assert_eq(PARSE("multipart/form-data; boundary=\"B b\"", "--B b\r\n" PART "x\r\n--B b--"), RC_OK);
    cr_assert_eq(PARSE(TYPE, "--B\r\n" PART "1\r\n--B\r\n" PART "2\r\n--B--"), RC_OK);
    assert_str(multipart_find(&m, "a")->data, STR("1"));
}

Test(multipart, malformed_bodies_are_refused) {
    static const char *const cases[] = {
        "",
        "-",
        "--",
        "--B",
        "--B-",
        "--B\r",
        "--B\r\n",
        "--C--",
        "x--B--",
        "\n--B--",
        "--Bx\r\n" PART "\r\n--B--",
        "--B\n" PART "\r\n--B--",
        "--B\r\n" PART,
        "--B\r\n" PART "data",
        "--B\r\n" PART "data\r\n--B",
        "--B\r\n" PART "data\r\n--B\r\n",
        "--B\r\n" PART "data\r\n--B-",
        "--B\r\n" PART "data\n--B--",
        "--B\r\n" PART "data\r\n--BX--",
        "--B\r\n\r\ndata\r\n--B--",
        "--B\r\nContent-Type: text/plain\r\n\r\ndata\r\n--B--",
        "--B\r\nContent-Disposition: form-data\r\n\r\ndata\r\n--B--",
        "--B\r\nContent-Disposition: form-data; name=\"\"\r\n\r\ndata\r\n--B--",
        "--B\r\nContent-Disposition: form-data; name=\"a\r\n\r\ndata\r\n--B--",
        "--B\r\nContent-Disposition: form-data; name=\"\xff\"\r\n\r\ndata\r\n--B--",
        "--B\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\ndata\r\n--B--",
        "--B\r\nContent-Disposition: form-data;\r\n name=\"a\"\r\n\r\ndata\r\n--B--",
        "--B\r\nContent-Disposition form-data\r\n\r\ndata\r\n--B--",
        "--B\r\n: x\r\n" PART "data\r\n--B--",
        "--B\r\nContent-Disposition: form-data; name=b\r\n" PART "data\r\n--B--",
        "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n--B--",
        "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n--B\r\n" PART "data\r\n--B--",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_assert_eq(parse_bytes(TYPE, cases[i], strlen(cases[i])), RC_BAD_INPUT, "case %zu: %s", i, cases[i]);
    }
    cr_assert_eq(PARSE(TYPE, "--B\r\nContent-Disposition: form-data; name=\"a\0b\"\r\n\r\ndata\r\n--B--"), RC_BAD_INPUT);
    cr_assert_eq(multipart_parse(&arena, STR(TYPE), (struct str){0}, &m), RC_BAD_INPUT);
}

Test(multipart, every_truncation_is_refused) {
    static const char body[] = "--B\r\n" PART "one\r\n--B\r\nContent-Type: text/plain\r\n" PART "two\r\n--B--";
    cr_assert_eq(PARSE(TYPE, body), RC_OK);
    for (size_t len = 0; len < sizeof body - 1; len++) {
        cr_assert_eq(parse_bytes(TYPE, body, len), RC_BAD_INPUT, "%zu bytes", len);
    }
}

Test(multipart, boundaries) {
    static const char *const bad[] = {
        "multipart/form-data",
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=\"\"",
        "multipart/form-data; boundary=\"B",
        "multipart/form-data; boundary=\"B \"",
        "multipart/form-data; boundary=B*",
        "multipart/form-data; boundary=해",
        "multipart/form-data; boundary=0123456789012345678901234567890123456789012345678901234567890123456789x",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) cr_assert_eq(PARSE(bad[i], "--B--"), RC_BAD_INPUT, "%s", bad[i]);
#define SEVENTY "0123456789012345678901234567890123456789012345678901234567890123456789"
    cr_assert_eq(PARSE("multipart/form-data; boundary=" SEVENTY, "--" SEVENTY "--"), RC_OK);
    cr_assert_eq(PARSE("multipart/form-data; boundary=\"'()+_,-./:=? x\"", "--'()+_,-./:=? x--"), RC_OK);
    cr_assert_eq(multipart_parse(&arena, (struct str){0}, STR("--B--"), &m), RC_BAD_INPUT);
}

Test(multipart, limits) {
    struct buf b;
    buf_init(&b);
    for (int i = 0; i < MULTIPART_PARTS_MAX; i++) buf_add(&b, STR("--B\r\n" PART "x\r\n"));
    size_t full = b.len;
    buf_add(&b, STR("--B--"));
    cr_assert_eq(parse_bytes(TYPE, b.ptr, b.len), RC_OK);
    cr_assert_eq(m.count, (size_t)MULTIPART_PARTS_MAX);
    b.len = full;
    buf_add(&b, STR("--B\r\n" PART "x\r\n--B--"));
    cr_assert_eq(parse_bytes(TYPE, b.ptr, b.len), RC_BAD_INPUT);

    for (int fits = 0; fits <= 1; fits++) {
        static const char head[] = "Content-Disposition: form-data; name=\"a\"\r\nX: ";
        b.len = 0;
        buf_add(&b, STR("--B\r\n"));
        buf_add(&b, str_from(head, sizeof head - 1));
        size_t fill = MULTIPART_HEADER_BYTES_MAX - 4 - (sizeof head - 1) + (fits ? 0 : 1);
        for (size_t i = 0; i < fill; i++) buf_add_char(&b, 'x');
        buf_add(&b, STR("\r\n\r\n\r\n--B--"));
        cr_assert_eq(parse_bytes(TYPE, b.ptr, b.len), fits ? RC_OK : RC_BAD_INPUT);
    }
    buf_fini(&b);
}
