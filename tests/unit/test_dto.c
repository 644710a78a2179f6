#include "dto.h"

#include "../support/fake_rows.h"
#include "../support/fixture.h"

static struct buf out;
static struct db_rows rows;
static void setup(void) {
    buf_init(&out);
    rows = fake_rows(16);
}
static void teardown(void) {
    buf_fini(&out);
    PQclear(rows.result);
}
TestSuite(dto, .init = setup, .fini = teardown);

#define ID "0190a000-0000-7000-8000-000000000001"
static const int64_t AT_US = INT64_C(1769851800123456); /* 2026-01-31T09:30:00.123456Z */

Test(dto, user_summary) {
    fake_uuid(&rows, 0, 2, ID);
    fake_text(&rows, 0, 3, "김 \"철수\" <b>");
    fake_text(&rows, 0, 4, "profile/ab/abcd.png");
    dto_user_summary(&out, &rows, 0, 2);
    assert_str(buf_str(&out), STR("{\"userId\":\"" ID
                                  "\",\"name\":\"김 \\\"철수\\\" <b>\",\"profileImageUrl\":\"/api/files/profile/ab/abcd.png\"}"));
}

Test(dto, user_without_a_picture) {
    fake_uuid(&rows, 0, 0, ID);
    fake_time(&rows, 0, 1, AT_US);
    fake_text(&rows, 0, 2, "a@b.c");
    fake_text(&rows, 0, 3, "A");
    fake_null(&rows, 0, 4);
    fake_text(&rows, 0, 5, "ADMIN");
    fake_bool(&rows, 0, 6, true);
    jw_array(&out);
    dto_user(&out, &rows, 0, 0);
    dto_user(&out, &rows, 0, 0);
    jw_array_end(&out);
#define USER                                                                                                        \
    "{\"id\":\"" ID                                                                                                 \
    "\",\"createdAt\":\"2026-01-31T09:30:00.123456Z\",\"email\":\"a@b.c\",\"name\":\"A\",\"profileImageUrl\":null," \
    "\"role\":\"ADMIN\",\"locked\":true}"
    assert_str(buf_str(&out), STR("[" USER "," USER "]"));
}

static void fill_content(const char *thumbnail_key) {
    static const char *const tags[] = {"드라마", "a,b"};
    fake_uuid(&rows, 0, 1, ID);
    fake_text(&rows, 0, 2, "tvSeries");
    fake_text(&rows, 0, 3, "제목");
    fake_text(&rows, 0, 4, "");
    if (thumbnail_key) fake_text(&rows, 0, 5, thumbnail_key);
    if (!thumbnail_key) fake_null(&rows, 0, 5);
    fake_texts(&rows, 0, 6, tags, 2);
    fake_f64(&rows, 0, 7, 3.25);
    fake_i32(&rows, 0, 8, 4);
    fake_i32(&rows, 0, 9, 7);
}

Test(dto, content_with_a_picture) {
    fill_content("thumbnail/x.jpg");
    dto_content(&out, &rows, 0, 1);
    assert_str(buf_str(&out),
               STR("{\"id\":\"" ID "\",\"type\":\"tvSeries\",\"title\":\"제목\",\"description\":\"\",\"thumbnailUrl\":"
                   "\"/api/files/thumbnail/x.jpg\",\"tags\":[\"드라마\",\"a,b\"],\"averageRating\":3.25,\"reviewCount\":4,"
                   "\"watcherCount\":7}"));
}

Test(dto, content_without_a_picture_has_a_poster) {
    char url[128];
    fill_content(NULL);
    fake_texts(&rows, 0, 6, NULL, 0);
    fake_f64(&rows, 0, 7, 0);
    dto_content_summary(&out, &rows, 0, 1);
    snprintf(url, sizeof url, "\"thumbnailUrl\":\"/api/posters/" ID ".svg?v=%016llx\"",
             (unsigned long long)dto_poster_version(STR("tvSeries"), STR("제목")));
    cr_assert(str_has(buf_str(&out), url), "%.*s", (int)out.len, out.ptr);
    cr_assert(str_has(buf_str(&out), "\"tags\":[],\"averageRating\":0,\"reviewCount\":4}"), "%.*s", (int)out.len, out.ptr);
    cr_assert_not(str_has(buf_str(&out), "watcherCount"));
}

Test(dto, poster_version_tells_type_and_title) {
    /* FNV-1a 64 of "a\0b" */
    cr_assert_eq(dto_poster_version(STR("a"), STR("b")), UINT64_C(0xe5d29919042666b2));
    cr_assert_neq(dto_poster_version(STR("movie"), STR("x")), dto_poster_version(STR("sport"), STR("x")));
    cr_assert_neq(dto_poster_version(STR("ab"), STR("c")), dto_poster_version(STR("a"), STR("bc")));
}

Test(dto, file_addresses_need_no_escaping) {
    dto_file_url(&out, (struct str){0});
    assert_str(buf_str(&out), STR("null"));
    out.len = 0;
    dto_file_url(&out, STR("a/B_0-1.png"));
    assert_str(buf_str(&out), STR("\"/api/files/a/B_0-1.png\""));
    out.len = 0;
    dto_file_url(&out, STR("a \"('해\\"));
    assert_str(buf_str(&out), STR("\"/api/files/a%20%22%28%27%ed%95%b4%5c\""));
    out.len = 0;
    dto_file_url(&out, STR(""));
    assert_str(buf_str(&out), STR("\"/api/files/\""));
}
