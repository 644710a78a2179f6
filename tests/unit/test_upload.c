#include "upload.h"

#include <stdlib.h>
#include <unistd.h>

#include "../support/fixture.h"
#include "../support/folder.h"
#include "file.h"
#include "storage.h"

static struct fixture f;
static char folder[64];

static void setup(void) {
    fixture_init(&f);
    snprintf(folder, sizeof folder, "/tmp/mopl-upload-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    f.app.storage = storage_open(folder);
    fixture_var(&f, "CONTENT_TYPE", "multipart/form-data; boundary=B");
}
static void teardown(void) {
    storage_close(f.app.storage);
    folder_remove(folder);
    fixture_fini(&f);
}
TestSuite(upload, .init = setup, .fini = teardown);

#define JSON_PART \
    "--B\r\nContent-Disposition: form-data; name=\"request\"; filename=\"blob\"\r\nContent-Type: application/json\r\n\r\n"
#define FILE_PART(filename) "--B\r\nContent-Disposition: form-data; name=\"thumbnail\"" filename "\r\n\r\n"
#define GIF "GIF89a\x02\0\x03\0\0\0\0,"

static struct upload u;

static enum rc parse(const char *body, size_t len) {
    f.r.body = fixture_exact(&f.arena, body, len);
    return upload_parse(&f.r, "thumbnail", &u);
}
#define PARSE(literal) parse(literal, sizeof(literal) - 1)

static bool named(const char *field) {
    return f.r.field_error_count == 1 && str_eq(f.r.field_errors[0].field, str_of(field));
}

static bool stored(struct str key, struct str bytes) {
    struct str read;
    const char *path = arena_printf(&f.arena, "%s/%.*s", folder, (int)key.len, key.ptr);
    return file_read(&f.arena, path, 1 << 20, &read) == RC_OK && str_eq(read, bytes);
}

Test(upload, request_and_picture_in_either_order) {
    cr_assert_eq(PARSE(FILE_PART("; filename=\"a.png\"") GIF "\r\n" JSON_PART "{\"a\":1}\r\n--B--\r\n"), RC_OK);
    cr_assert(str_eq(u.picture, STR(GIF)));
    cr_assert(json_object_object_get_ex(u.request, "a", NULL));
    cr_assert_eq(PARSE(JSON_PART "{}\r\n" FILE_PART("") GIF "\r\n--B--\r\n"), RC_OK);
    cr_assert(str_eq(u.picture, STR(GIF)));
}

Test(upload, picture_may_be_absent_or_an_empty_input) {
    cr_assert_eq(PARSE(JSON_PART "{}\r\n--B--\r\n"), RC_OK);
    cr_assert_null(u.picture.ptr);
    cr_assert_eq(PARSE(JSON_PART "{}\r\n" FILE_PART("") "\r\n--B--\r\n"), RC_OK);
    cr_assert_null(u.picture.ptr);
    cr_assert_eq(PARSE(JSON_PART "{}\r\n" FILE_PART("; filename=\"\"") "\r\n--B--\r\n"), RC_OK);
    cr_assert_null(u.picture.ptr);
    struct str key = STR("old");
    cr_assert_eq(upload_store(&f.r, &u, "contents", &key), RC_OK);
    cr_assert_null(key.ptr);
}

Test(upload, a_part_may_come_once) {
    cr_assert_eq(PARSE(JSON_PART "{}\r\n" JSON_PART "{}\r\n--B--\r\n"), RC_BAD_INPUT);
    cr_assert(named("request"));
    f.r.field_error_count = 0;
    cr_assert_eq(PARSE(FILE_PART("") "\r\n" JSON_PART "{}\r\n" FILE_PART("") GIF "\r\n--B--\r\n"), RC_BAD_INPUT);
    cr_assert(named("thumbnail"));
}

Test(upload, broken_bodies_are_named) {
    cr_assert_eq(PARSE(JSON_PART "{}\r\n--B"), RC_BAD_INPUT);
    cr_assert(named("body"));
    f.r.field_error_count = 0;
    cr_assert_eq(PARSE(""), RC_BAD_INPUT);
    cr_assert(named("body"));
    f.r.field_error_count = 0;
    cr_assert_eq(PARSE(FILE_PART("") GIF "\r\n--B--\r\n"), RC_BAD_INPUT);
    cr_assert(named("request"));
    f.r.field_error_count = 0;
    cr_assert_eq(PARSE(JSON_PART "[]\r\n--B--\r\n"), RC_BAD_INPUT);
    cr_assert(named("request"));
}

Test(upload, good_picture_is_stored_under_its_own_kind) {
    struct str key;
    u = (struct upload){.field = "thumbnail", .picture = STR(GIF)};
    cr_assert_eq(upload_store(&f.r, &u, "contents", &key), RC_OK);
    cr_assert(str_starts(key, STR("contents/")));
    cr_assert(str_eq(str_from(key.ptr + key.len - 4, 4), STR(".gif")));
    cr_assert(stored(key, STR(GIF)));
}

static void expect_refused(struct str picture, enum rc expected) {
    struct str key = STR("untouched");
    f.r.field_error_count = 0;
    u = (struct upload){.field = "thumbnail", .picture = picture};
    cr_assert_eq(upload_store(&f.r, &u, "contents", &key), expected);
    cr_assert_null(key.ptr);
    cr_assert(named("thumbnail"));
}

Test(upload, what_is_no_picture_or_too_large_is_refused) {
    expect_refused(STR("<svg xmlns='http://www.w3.org/2000/svg'/>"), RC_UNSUPPORTED_MEDIA);
    expect_refused(STR(""), RC_UNSUPPORTED_MEDIA);
    f.conf.upload_max_pixels = 5;
    expect_refused(STR(GIF), RC_TOO_LARGE);
    f.conf.upload_max_pixels = 6;
    f.conf.upload_max_bytes = sizeof GIF - 2;
    expect_refused(STR(GIF), RC_TOO_LARGE);
    cr_assert_eq(f.r.error, MSG_IMAGE_TOO_LARGE);
    f.conf.upload_max_bytes = sizeof GIF - 1;
    struct str key;
    cr_assert_eq(upload_store(&f.r, &u, "contents", &key), RC_OK);
}

static struct str put(void) {
    struct str key = storage_key(&f.arena, "contents", "gif");
    cr_assert_eq(storage_put(f.app.storage, key, STR(GIF)), RC_OK);
    return key;
}

Test(upload, settle_deletes_what_no_row_names) {
    struct str old_key = put(), new_key = put();
    upload_settle(&f.r, RC_OK, new_key, old_key);
    cr_assert(stored(new_key, STR(GIF)));
    cr_assert(!stored(old_key, STR(GIF)));
    /* Nothing new: the old one stays. */
    upload_settle(&f.r, RC_OK, (struct str){0}, new_key);
    upload_settle(&f.r, RC_NOT_FOUND, (struct str){0}, new_key);
    cr_assert(stored(new_key, STR(GIF)));
    struct str failed = put();
    upload_settle(&f.r, RC_NOT_FOUND, failed, (struct str){0});
    cr_assert(!stored(failed, STR(GIF)));
    /* Nobody knows whether the row was written. */
    struct str unknown = put();
    upload_settle(&f.r, RC_UNAVAILABLE, unknown, new_key);
    cr_assert(stored(unknown, STR(GIF)) && stored(new_key, STR(GIF)));
    upload_delete(&f.r, (struct str){0});
    upload_delete(&f.r, unknown);
    cr_assert(!stored(unknown, STR(GIF)));
}
