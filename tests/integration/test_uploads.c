/* Pictures and their multipart bodies from somebody who means harm: nothing is stored but what is shown to be a picture, under
 * names of the server's own, and nothing else is written. What every upload must have is test_contents_write.c's. */
#include <sys/socket.h>
#include <unistd.h>

#include "arena.h"
#include "buf.h"
#include "unharmed.h"

static struct arena arena;
static struct buf body;

static void setup(void) {
    arena_init(&arena);
    buf_init(&body);
}
static void teardown(void) {
    buf_fini(&body);
    arena_fini(&arena);
    api_end();
}
TestSuite(uploads, .init = setup, .fini = teardown, .timeout = 120);

#define TYPE "Content-Type: multipart/form-data; boundary=B"
#define REQUEST "{\"type\":\"movie\",\"title\":\"Upload\",\"description\":\"d\",\"tags\":[\"t\"]}"
#define GIF "GIF89a\x02\0\x03\0\0\0\0,"

/* A part of the body that send_body() sends; `disposition` is what follows form-data. */
static void add_part(const char *disposition, struct str data) {
    buf_add(&body, str_of(api_format("--B\r\nContent-Disposition: form-data%s\r\n\r\n", disposition)));
    buf_add(&body, data);
    buf_add(&body, STR("\r\n"));
}

static struct answer send_body(struct person *p, const char *method, const char *path) {
    static const char *const headers[] = {TYPE, NULL};
    buf_add(&body, STR("--B--\r\n"));
    struct answer a = api_send(p, method, path, headers, buf_str(&body));
    buf_reset(&body, 0);
    return a;
}

static void delete_content(struct person *admin, struct answer made) {
    expect_status(made, 201);
    expect_status(api_delete(admin, "/api/contents/%s", api_text(made.json, "id")), 200);
}

Test(uploads, parts_that_are_one_too_many) {
    struct person admin, p;
    api_admin(&admin);
    api_person(&p, "Doubler");
    struct things before = things_there();
    add_part("; name=\"request\"; filename=\"blob\"", STR(REQUEST));
    add_part("; name=\"request\"", STR("{}"));
    expect_bad_field(send_body(&admin, "POST", "/api/contents"), "request");
    add_part("; name=\"thumbnail\"; filename=\"a.gif\"", STR(GIF));
    add_part("; name=\"request\"", STR(REQUEST));
    add_part("; name=\"thumbnail\"; filename=\"b.gif\"", STR(GIF));
    expect_bad_field(send_body(&admin, "POST", "/api/contents"), "thumbnail");
    add_part("; name=\"request\"", STR("{}"));
    add_part("; name=\"image\"", STR(GIF));
    add_part("; name=\"image\"", STR(GIF));
    expect_bad_field(send_body(&p, "PATCH", api_format("/api/users/%s", p.id)), "image");
    for (int i = 0; i < 1000; i++) add_part(api_format("; name=\"x%d\"", i), STR("y"));
    add_part("; name=\"request\"", STR(REQUEST));
    expect_bad_field(send_body(&admin, "POST", "/api/contents"), "body");
    char *name = arena_zalloc(&arena, (1 << 20) + 1);
    memset(name, 'n', 1 << 20);
    add_part(api_format("; name=\"request\"; filename=\"%s\"", name), STR(REQUEST));
    expect_bad_field(send_body(&admin, "POST", "/api/contents"), "body");
    for (int i = 0; i < 100000; i++) buf_add(&body, STR("--B\r\n"));
    expect_bad_field(send_body(&admin, "POST", "/api/contents"), "body");
    expect_nothing_happened(before);
}

/* Headers that announce more pixels than anybody wants decoded; the pictures themselves are tiny. */
Test(uploads, pictures_that_would_burst) {
    static const struct str bombs[] = {
        /* 50,000 x 50,000, with the right checksum */
        {"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\xc3\x50\0\0\xc3\x50\x08\x02\0\0\0\xc4\xcd\xaa\x9d", 33},
        {"GIF89a\xff\xff\xff\xff\0\0\0,", 14},
        {"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03\x01\x11\0\x02\x11\0\x03\x11\0", 21},
        {"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff", 30},
        {"GIF89a\0\0\0\0\0\0\0,", 14},
    };
    struct person admin, p;
    api_admin(&admin);
    api_person(&p, "Burster");
    struct things before = things_there();
    for (size_t i = 0; i < sizeof bombs / sizeof *bombs; i++) {
        add_part("; name=\"request\"", STR(REQUEST));
        add_part("; name=\"thumbnail\"; filename=\"a.png\"", bombs[i]);
        struct answer a = send_body(&admin, "POST", "/api/contents");
        cr_assert(a.status == 413 && api_has(a.json, "details.thumbnail"), "%zu: %ld %.*s", i, a.status, (int)a.body.len,
                  a.body.ptr);
        add_part("; name=\"request\"", STR("{}"));
        add_part("; name=\"image\"; filename=\"a.png\"", bombs[i]);
        a = send_body(&p, "PATCH", api_format("/api/users/%s", p.id));
        cr_assert(a.status == 413 && api_has(a.json, "details.image"), "%zu: %ld", i, a.status);
    }
    expect_nothing_happened(before);
}

static void expect_harmless(struct person *anybody, const char *url) {
    struct answer file = api_get(anybody, "%s", url);
    expect_status(file, 200);
    cr_assert(str_eq(api_header(file, "Content-Type"), STR("image/gif")), "%.*s", (int)file.head.len, file.head.ptr);
    cr_assert(str_eq(api_header(file, "X-Content-Type-Options"), STR("nosniff")));
    cr_assert(str_eq(api_header(file, "Content-Security-Policy"), STR("default-src 'none'; sandbox")));
    cr_assert_not(api_header(file, "Set-Cookie").ptr);
}

Test(uploads, names_and_types_are_the_servers_own) {
    static const char *const names[] = {"../../../../../../tmp/mopl-escaped.gif",
                                        "/etc/cron.d/mopl",
                                        "..\\..\\a.gif",
                                        "a.php",
                                        "a.html",
                                        "a.gif\\0.html",
                                        "con",
                                        ".htaccess",
                                        "%2e%2e%2fa.gif",
                                        "a\xff.gif",
                                        "",
                                        "나의 사진 (1).gif",
                                        "a\\\"; name=\\\"request"};
    struct person admin, anybody;
    api_admin(&admin);
    api_visitor(&anybody);
    struct things before = things_there();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        add_part(api_format("; name=\"thumbnail\"; filename=\"%s\"", names[i]), STR(GIF "<script>alert(1)</script><?php ?>"));
        add_part("; name=\"request\"", STR(REQUEST));
        struct answer a = send_body(&admin, "POST", "/api/contents");
        expect_status(a, 201);
        const char *url = api_text(a.json, "thumbnailUrl");
        unsigned shard, end = 0;
        cr_assert_eq(sscanf(url, "/api/files/contents/%2x/%*32[0-9a-f].gif%n", &shard, (int *)&end), 1, "%s", url);
        cr_assert_eq(end, strlen(url), "%s", url);
        expect_harmless(&anybody, url);
        delete_content(&admin, a);
    }
    cr_assert_eq(access("/tmp/mopl-escaped.gif", F_OK), -1);
    expect_nothing_happened(before);
}

/* Clients that go away in the middle of their picture. */
Test(uploads, broken_off) {
    enum { CLIENTS = 20 };
    struct person admin;
    api_admin(&admin);
    struct things before = things_there();
    char *bytes = arena_zalloc(&arena, 1 << 20);
    for (int i = 0; i < CLIENTS; i++) {
        int fd = api_connect();
        api_put(fd, str_of(api_format("POST /api/contents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
                                      "Cookie: XSRF-TOKEN=abcdefgh\r\nX-XSRF-TOKEN: abcdefgh\r\n" TYPE
                                      "\r\nContent-Length: 10000000\r\n\r\n"
                                      "--B\r\nContent-Disposition: form-data; name=\"thumbnail\"\r\n\r\nGIF89a",
                                      admin.token)));
        api_put(fd, str_from(bytes, (size_t)(i % 4) << 18));
        if (i % 2) shutdown(fd, SHUT_WR);
        close(fd);
    }
    expect_status(api_get(&admin, "/api/reviews/me"), 200);
    for (int tries = 0; files_below("run/uploads") > 0 && tries < 50; tries++) usleep(100000);
    cr_assert_eq(files_below("run/uploads"), 0, "what was begun is cleared away");
    expect_nothing_happened(before);
}
