/* Rows of the catalogue as contents: the pure part of the job import-catalogue. Its work with a database is in test_batch.c. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "../../batch/catalogue.h"
#include "../support/repeated.h"
#include "expect.h"
#include "file.h"
#include "utf8.h"

static struct arena arena;

static void setup(void) {
    arena_init(&arena);
}
static void teardown(void) {
    arena_fini(&arena);
}
TestSuite(import_catalogue, .init = setup, .fini = teardown);

static struct catalogue_item film(const char *row) {
    struct catalogue_item item;
    cr_assert(catalogue_film(&arena, str_of(row), &item), "%s", row);
    return item;
}

static struct catalogue_item match(const char *row) {
    struct catalogue_item item;
    cr_assert(catalogue_match(&arena, str_of(row), &item), "%s", row);
    return item;
}

static bool has(struct str text, const char *part) {
    return memmem(text.ptr, text.len, part, strlen(part)) != NULL;
}

/* Tags as "a|b|c". */
static struct str tags(const struct catalogue_item *item) {
    const char *all = "";
    for (size_t i = 0; i < item->item.tag_count; i++)
        all = arena_printf(&arena, "%s%s%.*s", all, i ? "|" : "", (int)item->item.tags[i].len, item->item.tags[i].ptr);
    return str_of(all);
}

/* What the schema and the API demand of every content. */
static void check(const struct catalogue_item *item) {
    size_t title = utf8_length(item->item.title), description = utf8_length(item->item.description);
    cr_assert(title >= 1 && title <= 255);
    cr_assert(description >= 1 && description <= 10000);
    cr_assert(utf8_valid(item->item.title) && utf8_valid(item->item.description));
    cr_assert(item->item.tag_count >= 1 && item->item.tag_count <= 10);
    for (size_t i = 0; i < item->item.tag_count; i++) {
        cr_assert(utf8_trim(item->item.tags[i]).len == item->item.tags[i].len && item->item.tags[i].len > 0);
        cr_assert(utf8_length(item->item.tags[i]) <= 64);
        for (size_t j = 0; j < i; j++) cr_assert_not(str_eq(item->item.tags[i], item->item.tags[j]));
    }
    cr_assert_eq(item->item.source_id.len, 32);
}

Test(import_catalogue, a_film_with_all_its_facts) {
    struct catalogue_item f =
        film("[\"Casino Royale\",\"Nov 17 2006\",\"PG-13\",144,\"Sony Pictures\",\"Based on Book/Short Story\",\"Action\","
             "\"Contemporary Fiction\",\"Martin Campbell\",8,172936]");
    check(&f);
    cr_assert_str_eq(f.item.type, "movie");
    cr_assert_str_eq(f.item.source, "vega-movies");
    expect_str(f.item.title, "Casino Royale");
    expect_str(tags(&f), "Action|Contemporary Fiction|Sony Pictures|2006");
    cr_assert_eq(f.day, 20061117);
    expect_str(f.item.description,
               "2006년 11월 17일에 개봉한 액션 영화입니다. 이야기 유형은 현대극입니다. 감독은 Martin Campbell입니다. 소설을 "
               "원작으로 합니다. "
               "배급사는 Sony Pictures입니다. 상영 시간은 144분입니다. 관람 등급은 PG-13입니다. IMDB 평점은 10점 만점에 "
               "8.0점(172936명 참여)입니다. \n"
               "Action film released on Nov 17, 2006 by Sony Pictures, directed by Martin Campbell. Contemporary Fiction.");
    cr_assert_not(f.title_missing);
}

Test(import_catalogue, a_film_of_which_nothing_is_known) {
    struct catalogue_item f = film("[null,null,null,null,null,null,null,null,null,null,null]");
    check(&f);
    expect_str(f.item.title, "제목 미상");
    expect_str(tags(&f), "영화");
    expect_str(f.item.description, "영화입니다. \nfilm.");
    cr_assert(f.title_missing);
    cr_assert_eq(f.day, 0);
}

Test(import_catalogue, titles) {
    static const char *const cases[][2] = {
        {"1776", "1776"},
        {"9", "9"},
        {"\"Barbarians, The\"", "The Barbarians"},
        {"\"Farewell to Arms, A\"", "A Farewell to Arms"},
        {"\"Nothing But The\"", "Nothing But The"},
        {"\", The\"", ", The"},
        {"\"Halloween:  The\\tCurse \"", "Halloween: The Curse"},
        {"\"\\u0000\\n \"", "제목 미상 (A, 1998)"},
        {"\"\"", "제목 미상 (A, 1998)"},
        {"null", "제목 미상 (A, 1998)"},
        {"\"Léon\"", "Léon"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct catalogue_item f =
            film(arena_printf(&arena, "[%s,\"Jun 12 1998\",null,null,\"A\",null,null,null,null,null,null]", cases[i][0]));
        check(&f);
        cr_assert(str_eq(f.item.title, str_of(cases[i][1])), "%s gives %.*s", cases[i][0], (int)f.item.title.len, f.item.title.ptr);
    }
}

Test(import_catalogue, dates_of_films) {
    static const struct {
        const char *text;
        int day;
    } cases[] = {
        {"\"Dec 30 2025\"", 19251230},
        {"\"Feb 08 2015\"", 19150208},
        {"\"Jan 01 2012\"", 19120101},
        {"\"Dec 23 2011\"", 20111223},
        {"\"Feb 01 1929\"", 19290201},
        {"\"Foo 01 1999\"", 0},
        {"\"Jan 32 1999\"", 0},
        {"\"Jan 1999\"", 0},
        {"\"Jan 01 99999\"", 0},
        {"1999", 0},
        {"null", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct catalogue_item f =
            film(arena_printf(&arena, "[\"T\",%s,null,null,null,null,null,null,null,null,null]", cases[i].text));
        check(&f);
        cr_assert_eq(f.day, cases[i].day, "%s gives %d", cases[i].text, f.day);
        cr_assert_eq(has(f.item.description, "개봉한"), cases[i].day != 0);
    }
}

Test(import_catalogue, placeholders_and_odd_facts_are_left_out) {
    struct catalogue_item f = film("[\"T\",\"Jun 12 1998\",\"Not Rated\",-5,\"Distributor Unknown\",\"Compilation\",\"Drama\","
                                   "\"Multiple Creative Types\",null,11.5,0]");
    check(&f);
    expect_str(tags(&f), "Drama|1998");
    expect_str(f.item.description, "1998년 6월 12일에 개봉한 드라마 영화입니다. \nDrama film released on Jun 12, 1998.");
    f = film("[\"T\",null,null,null,\"Drama\",null,\"Drama\",null,null,null,null]");
    expect_str(tags(&f), "Drama");
}

Test(import_catalogue, long_texts_are_cut_between_characters) {
    const char *name = repeated(&arena, "é한", 200);
    struct catalogue_item f =
        film(arena_printf(&arena, "[\"%s\",null,null,null,\"%s\",null,null,null,null,null,null]", name, name));
    check(&f);
    cr_assert_eq(utf8_length(f.item.title), 255);
    cr_assert_eq(utf8_length(f.item.tags[0]), 64);
    char *director = arena_alloc(&arena, 40001);
    memset(director, 'x', 40000);
    director[40000] = '\0';
    f = film(arena_printf(&arena, "[\"T\",null,null,null,null,null,null,null,\"%s\",null,null]", director));
    check(&f);
}

Test(import_catalogue, a_match) {
    struct catalogue_item m = match("[\"2013-07-20\",\"Österreichische Bundesliga\",\"FK Austria Wien\",\"FC Admira Wacker\",2,0]");
    check(&m);
    cr_assert_str_eq(m.item.type, "sport");
    cr_assert_str_eq(m.item.source, "vega-football");
    expect_str(m.item.title, "FK Austria Wien vs FC Admira Wacker");
    expect_str(tags(&m), "Football|Österreichische Bundesliga|FK Austria Wien|FC Admira Wacker|2013");
    expect_str(
        m.item.description,
        "2013년 7월 20일에 열린 오스트리아 분데스리가 축구 경기입니다. 홈 팀은 FK Austria Wien, 원정 팀은 FC Admira Wacker입니다. "
        "결과는 2:0, 승리 팀은 FK Austria Wien입니다.");
    cr_assert_eq(m.day, 20130720);
    cr_assert(has(match("[\"2013-07-20\",\"Serie A\",\"A\",\"B\",0,3]").item.description, "0:3, 승리 팀은 B입니다."));
    cr_assert(has(match("[\"2013-07-20\",\"Serie A\",\"A\",\"B\",1,1]").item.description, "1:1 무승부"));
    cr_assert(has(match("[\"2013-07-20\",\"Serie A\",\"A\",\"B\",null,null]").item.description, "점수는 기록되지 않았습니다."));
    cr_assert(has(match("[\"2013-07-20\",\"Serie A\",\"A\",\"B\",2,null]").item.description, "점수는 기록되지 않았습니다."));
}

Test(import_catalogue, a_match_of_which_nothing_is_known) {
    struct catalogue_item m = match("[null,null,null,null,null,null]");
    check(&m);
    expect_str(m.item.title, "미정 vs 미정");
    expect_str(tags(&m), "Football");
    cr_assert(m.title_missing);
}

Test(import_catalogue, identity_and_hash) {
    const char *row = "[\"T\",\"Jun 12 1998\",null,null,null,null,\"Drama\",null,null,null,null]";
    struct catalogue_item a = film(row), b = film(row);
    cr_assert(str_eq(a.item.source_id, b.item.source_id));
    cr_assert_eq(memcmp(a.item.hash, b.item.hash, sizeof a.item.hash), 0);
    b = film("[\"T\",\"Jun 12 1998\",null,null,null,null,\"Comedy\",null,null,null,null]");
    cr_assert(str_eq(a.item.source_id, b.item.source_id), "other facts of the same film");
    cr_assert_neq(memcmp(a.item.hash, b.item.hash, sizeof a.item.hash), 0);
    b = film("[\"T\",\"Jun 12 1999\",null,null,null,null,\"Drama\",null,null,null,null]");
    cr_assert_not(str_eq(a.item.source_id, b.item.source_id), "another film of the same title");
    cr_assert_not(str_eq(match("[\"2013-07-20\",\"D\",\"AB\",\"C\",1,1]").item.source_id,
                         match("[\"2013-07-20\",\"D\",\"A\",\"BC\",1,1]").item.source_id));
}

Test(import_catalogue, what_is_no_row_is_refused) {
    static const char *const bad[] = {
        "",
        "x",
        "{}",
        "null",
        "[]",
        "[1,2]",
        "[\"T\",null,null,null,null,null,null,null,null,null]",
        "[\"T\",null,null,null,null,null,null,null,null,null,null,null]",
        "[\"T\",null,null,null,null,null,null,null,null,null,{}]",
        "[\"T\",null,null,null,null,null,null,null,null,null,[1]]",
        "[\"T\",null,null,null,null,null,null,null,null,null,true]",
        "[\"T\",null,null,null,null,null,null,null,null,null,null]]",
        "[\"T\",null,null,null,null,null,null,null,null,null,null] x",
        "[\"T\",null,null,null,null,null,null,null,null,null,null",
        "[\"\xff\",null,null,null,null,null,null,null,null,null,null]",
    };
    struct catalogue_item item;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cr_assert_not(catalogue_film(&arena, str_of(bad[i]), &item), "%s", bad[i]);
        cr_assert_not(catalogue_match(&arena, str_of(bad[i]), &item), "%s", bad[i]);
    }
}

/* Every row that the project carries makes a content; the first lines are the fields the job asks for. */
static size_t check_file(const char *name, const char *fields, bool (*map)(struct arena *, struct str, struct catalogue_item *)) {
    const char *folder;
    struct str text;
    cr_assert_eq(file_of_project(&arena, "data/catalogue", &folder), RC_OK);
    cr_assert_eq(file_read(&arena, arena_printf(&arena, "%s/%s", folder, name), 1 << 24, &text), RC_OK);
    struct str rest = text;
    cr_assert(str_eq(str_cut(&rest, '\n'), str_of(fields)));
    size_t rows = 0;
    while (rest.ptr && rest.len > 0) {
        struct catalogue_item item;
        cr_assert(map(&arena, str_cut(&rest, '\n'), &item), "row %zu", rows + 1);
        check(&item);
        cr_assert_neq(item.day, 0);
        cr_assert(item.day >= 19150101 && item.day < 20180101, "row %zu: %d", rows + 1, item.day);
        rows++;
    }
    return rows;
}

Test(import_catalogue, the_whole_catalogue) {
    cr_assert_eq(check_file("films.jsonl", CATALOGUE_FILM_FIELDS, catalogue_film), 3201);
    cr_assert_eq(check_file("matches.jsonl", CATALOGUE_MATCH_FIELDS, catalogue_match), 6508);
}
