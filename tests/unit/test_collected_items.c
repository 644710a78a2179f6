/* What sources say, as items: the pure parts of fetch-tmdb and fetch-sports. Their work with servers and a database is in
 * tests/batch. */
#include <criterion/criterion.h>

#include "../../batch/json.h"
#include "../../batch/sportsdb.h"
#include "../../batch/tmdb.h"
#include "../support/repeated.h"
#include "utf8.h"

static struct arena arena;

static void setup(void) {
    arena_init(&arena);
}
static void teardown(void) {
    arena_fini(&arena);
}
TestSuite(collected_items, .init = setup, .fini = teardown);

static struct json_object *json(const char *text) {
    struct json_object *o = json_of_source(&arena, str_of(text));
    cr_assert_not_null(o, "%s", text);
    return o;
}

static void expect(struct str got, const char *text) {
    cr_assert(str_eq(got, str_of(text)), "got \"%.*s\", wanted \"%s\"", (int)got.len, got.ptr ? got.ptr : "", text);
}

static struct tmdb_genres genres;

static enum tmdb_fit film(const char *text, struct item *item) {
    cr_assert(tmdb_genres_read(
        &arena,
        json("{\"genres\":[{\"id\":28,\"name\":\" 액션 \"},{\"id\":18,\"name\":\"드라마\"},{\"id\":5,\"name\":null},"
             "{\"id\":0,\"name\":\"x\"},7,{\"id\":6,\"name\":\"드라마\"}]}"),
        &genres));
    return tmdb_item(&arena, json(text), &tmdb_kinds[0], &genres, item);
}

Test(collected_items, a_film) {
    struct item item;
    cr_assert_eq(film("{\"id\":11,\"title\":\" 별들의\\n전쟁 "
                      "\",\"overview\":\"옛날\",\"genre_ids\":[18,28,6,99],\"poster_path\":\"/a-B_1.jpg\"}",
                      &item),
                 TMDB_FIT);
    cr_assert_eq(genres.count, 3);
    cr_assert_str_eq(item.type, "movie");
    cr_assert_str_eq(item.source, "tmdb");
    expect(item.source_id, "11");
    expect(item.title, "별들의 전쟁");
    expect(item.description, "옛날");
    expect(item.image, "/a-B_1.jpg");
    cr_assert_eq(item.tag_count, 2, "a name that two genres have is one tag");
    expect(item.tags[0], "드라마");
    expect(item.tags[1], "액션");
}

Test(collected_items, a_film_of_which_little_is_known) {
    struct item item;
    cr_assert_eq(film("{\"id\":\"12\",\"original_title\":\"Only\"}", &item), TMDB_FIT);
    expect(item.title, "Only");
    expect(item.description, "");
    cr_assert_null(item.image.ptr);
    cr_assert_eq(item.tag_count, 1);
    expect(item.tags[0], "영화");
    static const char *const unfit[] = {"{\"title\":\"no id\"}",         "{\"id\":-1,\"title\":\"x\"}",    "{\"id\":1}",
                                        "{\"id\":1,\"title\":\" \\t\"}", "{\"id\":1.5,\"title\":\"x\"}",   "{\"id\":1,\"title\":7}",
                                        "{\"id\":null,\"title\":\"x\"}", "{\"id\":\"1x\",\"title\":\"x\"}"};
    for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++) cr_assert_eq(film(unfit[i], &item), TMDB_UNFIT, "%s", unfit[i]);
    cr_assert_eq(film("{\"adult\":true,\"id\":1,\"title\":\"x\"}", &item), TMDB_ADULT);
    cr_assert_eq(tmdb_item(&arena, NULL, &tmdb_kinds[0], &genres, &item), TMDB_UNFIT);
}

Test(collected_items, posters_lead_nowhere_else) {
    static const char *const bad[] = {"//evil.example/a.png",      "/../a.png?x", "a.png", "/", "/a b.png",
                                      "http://evil.example/a.png", "/a/b.png"};
    struct item item;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_eq(film(arena_printf(&arena, "{\"id\":1,\"title\":\"x\",\"poster_path\":\"%s\"}", bad[i]), &item), TMDB_FIT);
        cr_assert_null(item.image.ptr, "%s", bad[i]);
    }
}

Test(collected_items, the_hash_tells_every_change) {
    static const char *const others[] = {
        "{\"id\":1,\"title\":\"y\",\"overview\":\"o\",\"genre_ids\":[18],\"poster_path\":\"/a.jpg\"}",
        "{\"id\":1,\"title\":\"x\",\"overview\":\"p\",\"genre_ids\":[18],\"poster_path\":\"/a.jpg\"}",
        "{\"id\":1,\"title\":\"x\",\"overview\":\"o\",\"genre_ids\":[28],\"poster_path\":\"/a.jpg\"}",
        "{\"id\":1,\"title\":\"x\",\"overview\":\"o\",\"genre_ids\":[18],\"poster_path\":\"/b.jpg\"}",
        "{\"id\":1,\"title\":\"x\",\"overview\":\"o\",\"genre_ids\":[18]}"};
    struct item item, same, other;
    cr_assert_eq(
        film("{\"id\":1,\"title\":\"x\",\"overview\":\"o\",\"genre_ids\":[18],\"poster_path\":\"/a.jpg\",\"popularity\":1}", &item),
        TMDB_FIT);
    cr_assert_eq(
        film("{\"popularity\":2,\"poster_path\":\"/a.jpg\",\"id\":1,\"title\":\"x\",\"overview\":\"o\",\"genre_ids\":[18]}", &same),
        TMDB_FIT);
    cr_assert_eq(memcmp(item.hash, same.hash, ITEM_HASH_BYTES), 0, "popularity is no change");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        cr_assert_eq(film(others[i], &other), TMDB_FIT);
        cr_assert_neq(memcmp(item.hash, other.hash, ITEM_HASH_BYTES), 0, "%s", others[i]);
    }
}

Test(collected_items, texts_and_tags_are_bounded) {
    struct item item = {
        .type = "movie", .title = str_of(repeated(&arena, "가", 300)), .description = str_of(repeated(&arena, "x", 20000))};
    for (int i = 0; i < 20; i++) item_add_tag(&arena, &item, str_of(arena_printf(&arena, "tag %d", i)));
    cr_assert_eq(item.tag_count, ITEM_TAGS_MAX);
    item.tag_count = 0;
    item_add_tag(&arena, &item, str_of(repeated(&arena, "태", 100)));
    item_add_tag(&arena, &item, STR("Drama"));
    item_add_tag(&arena, &item, STR(" drama\t"));
    item_add_tag(&arena, &item, STR(" \n"));
    item_add_tag(&arena, &item, (struct str){0});
    cr_assert_eq(item.tag_count, 2);
    cr_assert_eq(utf8_length(item.tags[0]), ITEM_TAG_MAX);
    item_finish(&item);
    cr_assert_eq(utf8_length(item.title), ITEM_TITLE_MAX);
    cr_assert_eq(item.description.len, ITEM_DESCRIPTION_MAX);
}

Test(collected_items, a_match) {
    struct item item;
    cr_assert(sportsdb_item(&arena,
                            json("{\"idEvent\":\"441613\",\"strEvent\":\"Liverpool vs "
                                 "Swansea\",\"strSport\":\"Soccer\",\"strLeague\":\"English Premier League\","
                                 "\"strHomeTeam\":\"Liverpool\",\"strAwayTeam\":\"Swansea\",\"intHomeScore\":\"4\","
                                 "\"intAwayScore\":\"1\",\"dateEvent\":\"2014-12-29\","
                                 "\"strVenue\":\"Anfield\",\"strPostponed\":\"no\",\"strThumb\":\"https://img.example/a.jpg\"}"),
                            &item));
    expect(item.source_id, "441613");
    expect(item.title, "Liverpool vs Swansea");
    expect(item.description, "2014-12-29 English Premier League 경기입니다. 홈 팀은 Liverpool, 원정 팀은 Swansea입니다. 장소는 "
                             "Anfield입니다. 결과는 4:1입니다.");
    expect(item.image, "https://img.example/a.jpg");
    cr_assert_eq(item.tag_count, 4);
    expect(item.tags[0], "Soccer");
    cr_assert(sportsdb_item(&arena,
                            json("{\"idEvent\":7,\"strHomeTeam\":\"A\",\"strAwayTeam\":\"B\",\"intHomeScore\":null,"
                                 "\"intAwayScore\":null,\"strThumb\":\"file:///etc/passwd\"}"),
                            &item));
    expect(item.title, "A vs B");
    expect(item.description, "경기입니다. 홈 팀은 A, 원정 팀은 B입니다.");
    cr_assert_null(item.image.ptr);
    static const char *const unfit[] = {"{\"strEvent\":\"x\"}", "{\"idEvent\":\"0\",\"strEvent\":\"x\"}",
                                        "{\"idEvent\":\"5\",\"strHomeTeam\":\"A\"}", "{\"idEvent\":[],\"strEvent\":\"x\"}"};
    for (size_t i = 0; i < sizeof unfit / sizeof *unfit; i++)
        cr_assert_not(sportsdb_item(&arena, json(unfit[i]), &item), "%s", unfit[i]);
    cr_assert_not(sportsdb_item(&arena, NULL, &item));
}

Test(collected_items, json_is_an_object_or_nothing) {
    static const char *const bad[] = {
        "", "[]", "7", "{", "{\"a\":1}x", "\xff{}", "{\"a\":\"\xff\"}", "<html>", "{\"a\":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) cr_assert_null(json_of_source(&arena, str_of(bad[i])), "%s", bad[i]);
    struct json_object *o = json("{\"t\":\"\\ud800\",\"n\":\"99999999999999999999\",\"l\":{}}");
    cr_assert(utf8_valid(json_text(&arena, o, "t")));
    cr_assert_eq(json_number(o, "n"), 0);
    cr_assert_null(json_list(o, "l"));
    cr_assert_null(json_text(&arena, o, "none").ptr);
}
