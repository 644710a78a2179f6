/* Search: parameters of a request, and what the conditions find in a private PostgreSQL. */
#include "search.h"

#include "../support/fixture.h"
#include "../support/repeated.h"
#include "../support/services_shared.h"
#include "search_text.h"

static struct fixture f;
static struct db *db;
static void setup(void) {
    fixture_init(&f);
}
static void setup_database(void) {
    fixture_init(&f);
    db = db_new(services_new_migrated_database(), 10000);
}
static void teardown(void) {
    db_free(db);
    fixture_fini(&f);
}
TestSuite(search_request, .init = setup, .fini = teardown);
TestSuite(search_sql, .init = setup_database, .fini = teardown, .timeout = 60);

static bool named(const char *field) {
    return f.r.field_error_count == 1 && str_eq(f.r.field_errors[0].field, str_of(field));
}

/* Parameters */

Test(search_request, keyword_is_trimmed) {
    fixture_query(&f, "keywordLike=%20%ED%95%B4%EB%A6%AC+%E3%80%80");
    cr_assert(str_eq(search_keyword(&f.r, "keywordLike"), STR("해리")));
    cr_assert_null(search_keyword(&f.r, "emailLike").ptr);
    cr_assert_eq(f.r.field_error_count, 0);
}

Test(search_request, white_space_is_no_keyword) {
    fixture_query(&f, "a=&b=+%09%0a&c=%E3%80%80%C2%A0");
    cr_assert_null(search_keyword(&f.r, "a").ptr);
    cr_assert_null(search_keyword(&f.r, "b").ptr);
    cr_assert_null(search_keyword(&f.r, "c").ptr);
}

Test(search_request, keyword_length_is_counted_in_characters) {
    const char *longest = repeated(&f.arena, "%ED%95%B4", SEARCH_KEYWORD_MAX);
    fixture_query(&f, arena_printf(&f.arena, "k=%s", longest));
    cr_assert_eq(search_keyword(&f.r, "k").len, SEARCH_KEYWORD_MAX * 3);
    cr_assert_eq(f.r.field_error_count, 0);
    fixture_query(&f, arena_printf(&f.arena, "k=%sx", longest));
    search_keyword(&f.r, "k");
    cr_assert(named("k"));
}

Test(search_request, tags_are_taken_whole) {
    fixture_query(&f, "tagsIn[]=a,b&tagsIn%5B%5D=%EC%95%A1%EC%85%98&tagsIn=c&tagsIn=&other=d");
    struct search_tags tags = search_tags(&f.r, "tagsIn");
    cr_assert_eq(tags.count, 3);
    cr_assert(str_eq(tags.items[0], STR("a,b")));
    cr_assert(str_eq(tags.items[1], STR("액션")));
    cr_assert(str_eq(tags.items[2], STR("c")));
    cr_assert_eq(search_tags(&f.r, "absent").count, 0);
}

Test(search_request, at_most_a_hundred_tags) {
    const char *query = repeated(&f.arena, "&t=x", SEARCH_TAGS_MAX);
    fixture_query(&f, query);
    cr_assert_eq(search_tags(&f.r, "t").count, SEARCH_TAGS_MAX);
    cr_assert_eq(f.r.field_error_count, 0);
    fixture_query(&f, arena_printf(&f.arena, "%s&t=more", query));
    cr_assert_eq(search_tags(&f.r, "t").count, SEARCH_TAGS_MAX);
    cr_assert(named("t"));
}

Test(search_request, a_tag_has_at_most_64_characters) {
    const char *longest = repeated(&f.arena, "%C3%A9", SEARCH_TAG_MAX);
    fixture_query(&f, arena_printf(&f.arena, "t=%s", longest));
    search_tags(&f.r, "t");
    cr_assert_eq(f.r.field_error_count, 0);
    fixture_query(&f, arena_printf(&f.arena, "t=%sx", longest));
    search_tags(&f.r, "t");
    cr_assert(named("t"));
}

/* Conditions */

static struct db_stmt add = {
    "add",
    "INSERT INTO contents (id, type, title, description, tags) VALUES ($1::uuid, 'movie', $2::text, $3::text, $4::text[])",
    0,
};
static struct db_stmt by_keyword = {"by_keyword", "SELECT count(*) FROM content_search s WHERE " SEARCH_KEYWORD("s", "1"), 0};
static struct db_stmt by_tags = {"by_tags", "SELECT count(*) FROM content_search s WHERE " SEARCH_TAGS("s", "1"), 0};

static void content(const char *title, const char *description, const char *tag) {
    struct db_params p;
    struct str tags[] = {str_of(tag)};
    dbp_init(&p);
    dbp_uuid(&p, uuid_v7());
    dbp_text(&p, str_of(title));
    dbp_text(&p, str_of(description));
    dbp_text_array(&p, &f.arena, tags, 1);
    cr_assert_eq(db_exec(db, &f.arena, DB_WRITE, &add, &p, NULL), RC_OK);
}

static int64_t found_text(struct str keyword) {
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_text(&p, keyword);
    cr_assert_eq(db_exec(db, &f.arena, DB_READ, &by_keyword, &p, &rows), RC_OK);
    return db_i64(&rows, 0, 0);
}

static int64_t found(const char *keyword) {
    return found_text(str_of(keyword));
}

static int64_t tagged(const char *a, const char *b) {
    struct db_params p;
    struct db_rows rows;
    struct str tags[] = {str_of(a), str_of(b)};
    dbp_init(&p);
    dbp_text_array(&p, &f.arena, tags, b ? 2 : 1);
    cr_assert_eq(db_exec(db, &f.arena, DB_READ, &by_tags, &p, &rows), RC_OK);
    return db_i64(&rows, 0, 0);
}

Test(search_sql, every_part_of_a_text_is_found) {
    static const char *const title = "해리 포터와 Ｍagic-ストーン 3.5%";
    content(title, "", "없음");
    struct str rest = str_of(title);
    while (rest.len > 0) {
        /* Every substring from here, character by character; one of blanks alone is none (search_keyword trims it away). */
        for (size_t end = 1; end <= rest.len; end++) {
            bool whole = end == rest.len || ((unsigned char)rest.ptr[end] & 0xc0) != 0x80;
            struct str part = str_from(rest.ptr, end);
            if (!whole || str_trim(part).len == 0) continue;
            cr_assert_eq(found_text(part), 1, "\"%.*s\"", (int)part.len, part.ptr);
        }
        size_t step = 1;
        while (step < rest.len && ((unsigned char)rest.ptr[step] & 0xc0) == 0x80) step++;
        rest = str_from(rest.ptr + step, rest.len - step);
    }
    cr_assert_eq(found("해포"), 0);
    cr_assert_eq(found("리포"), 1); /* the title without its blanks */
    cr_assert_eq(found("포터  와"), 1);
}

Test(search_sql, case_and_width_do_not_matter) {
    content("Ｐｉｒａｔｅｓ of İstanbul ﬁne", "ｶﾞﾝﾀﾞﾑ Straße", "SF");
    cr_assert_eq(found("pirates OF"), 1);
    cr_assert_eq(found("ＰＩＲＡＴＥＳ"), 1);
    cr_assert_eq(found("ガンダム"), 1);
    cr_assert_eq(found("FINE"), 1);
    cr_assert_eq(found("straße"), 1);
    cr_assert_eq(found("ｓｆ"), 1);
    /* Korean typed in parts and composed are one. */
    content("한글", "", "x");
    cr_assert_eq(found("\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab\xe1\x84\x80\xe1\x85\xb3\xe1\x86\xaf"), 1);
}

Test(search_sql, signs_are_literal) {
    content("100% a_b c\\d", "'; DROP TABLE contents; --", "x.y*");
    content("1000 aXb cd", "", "xzy");
    cr_assert_eq(found("0%"), 1);
    cr_assert_eq(found("a_b"), 1);
    cr_assert_eq(found("c\\d"), 1);
    cr_assert_eq(found("%"), 1);
    cr_assert_eq(found("_"), 1);
    cr_assert_eq(found("\\"), 1);
    cr_assert_eq(found("x.y*"), 1);
    cr_assert_eq(found("'; drop table contents; --"), 1);
    cr_assert_eq(found("{}"), 0);
}

Test(search_sql, title_description_and_tags_stay_apart) {
    content("abc", "def", "ghi");
    cr_assert_eq(found("def"), 1);
    cr_assert_eq(found("ghi"), 1);
    cr_assert_eq(found("cd"), 0);
    cr_assert_eq(found("fg"), 0);
}

Test(search_sql, single_characters_between_blanks) {
    content("a b cd", "", "x");
    cr_assert_eq(found("a"), 1);
    cr_assert_eq(found("a b"), 1);
    cr_assert_eq(found("b c"), 1);
    cr_assert_eq(found("b d"), 1);
    cr_assert_eq(found("b e"), 0);
    cr_assert_eq(found("d"), 1);
}

/* Two characters are looked up without reading the text: what folding makes of them counts. */
Test(search_sql, short_keywords_that_fold_to_something_else) {
    content("5\xe3\x8e\x9e away", "\xc2\xa8 sign", "x"); /* U+339E becomes km, U+00A8 a blank and a mark */
    content("a\xcc\x88 b", "", "y");                     /* a letter with that mark, which is one character then */
    content("-", "k m", "z");
    cr_assert_eq(found("km"), 1);
    cr_assert_eq(found("\xe3\x8e\x9e"), 1);
    cr_assert_eq(found("5\xe3\x8e\x9e"), 1);
    cr_assert_eq(found("\xc2\xa8"), 1);
    cr_assert_eq(found("\xc3\xa4"), 1);
    cr_assert_eq(found("\xef\xb7\xba"), 0); /* U+FDFA becomes eighteen characters */
}

Test(search_sql, long_keywords_are_compared_whole) {
    /* All pairs of neighbours of the longer one are in the text, too. */
    const char *part = "0123456789가나다라마바사";
    content("x", repeated(&f.arena, part, 10), "x");
    cr_assert_eq(found_text(str_of(repeated(&f.arena, part, 10))), 1);
    cr_assert_eq(found_text(str_of(repeated(&f.arena, part, 11))), 0);
    /* Of more words than eight the eighth is the rest, as it stands. */
    content("a b c d e f g h i j", "", "x");
    cr_assert_eq(found("g f e d c b a  h i j "), 1);
    cr_assert_eq(found("g f e d c b a h j i"), 0);
    cr_assert_eq(found_text(str_of(repeated(&f.arena, "해", SEARCH_KEYWORD_MAX))), 0);
}

Test(search_sql, every_word_must_occur_in_any_order) {
    content("해리 포터와 마법사의 돌", "고아 소년", "판타지");
    cr_assert_eq(found("마법사 해리"), 1);
    cr_assert_eq(found("판타지 포터 고아"), 1);
    cr_assert_eq(found("해리 볼드모트"), 0);
    cr_assert_eq(found("100% 해리"), 0);
    cr_assert_eq(found("_ 해리"), 0);
}

Test(search_sql, titles_are_found_without_blanks_and_by_initials) {
    content("해리 포터와 마법사의 돌 2", "고아 소년", "판타지");
    cr_assert_eq(found("해리포터와마법사"), 1);
    cr_assert_eq(found("고아소년"), 0);
    cr_assert_eq(found("ㅎㄹㅍㅌ"), 1);
    cr_assert_eq(found("ㅎㄹ ㅍㅌㅇ"), 1);
    cr_assert_eq(found("ㅁㅂㅅㅇㄷ2"), 1);
    cr_assert_eq(found("ㄷ"), 1);
    cr_assert_eq(found("ㄱㅇ"), 0); /* the description has none */
    cr_assert_eq(found("ㅎㅍ"), 0);
    content("닭싸움 갈치", "", "x");
    cr_assert_eq(found("ㄷㅆㅇ"), 1);
    content("박수", "", "x");
    cr_assert_eq(found("ㅄ"), 2); /* in 마법사, too; as which ㅂ and ㅅ may have been typed */
    cr_assert_eq(found("박ㅅ"), 0);
}

/* Both engines look for the same: `stmt` makes a form of $1. */
static const char *sql_form(struct db_stmt *stmt, struct str text) {
    struct db_params p;
    struct db_rows rows;
    dbp_init(&p);
    dbp_text(&p, text);
    cr_assert_eq(db_exec(db, &f.arena, DB_READ, stmt, &p, &rows), RC_OK);
    return arena_cstr(&f.arena, db_text(&rows, 0, 0));
}

static struct db_stmt fold = {"fold", "SELECT mopl_fold($1::text)", 0};
static struct db_stmt initials = {"initials", "SELECT mopl_initials($1::text)", 0};
static struct db_stmt compact = {"compact", "SELECT regexp_replace($1::text, '\\s', '', 'g')", 0};
static struct db_stmt words_of = {"words", "SELECT array_to_string(mopl_words($1::text), '|')", 0};
static struct db_stmt relevance = {"relevance", "SELECT mopl_relevance($1::text, 'harry potter')::text", 0};

Test(search_sql, texts_are_folded_alike_in_c) {
    static const char *const TEXTS[] = {"Ｐｉｒａｔｅｓ of İstanbul ﬁne",
                                        "ｶﾞﾝﾀﾞﾑ Straße ΟΔΟΣ",
                                        "한글",
                                        "ㅎㄹㅍㅌ ㄳㅄㅀ",
                                        "\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab 글",
                                        "5\xe3\x8e\x9e away\xc2\xa0x\t\ny",
                                        "😀 Ⅷ ½ ",
                                        "a b c d e f g h i  j ",
                                        "%_\\",
                                        "가 나  다"};
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        struct str folded = search_fold(&f.arena, str_of(TEXTS[i])), words[SEARCH_WORDS_MAX];
        assert_str(folded, str_of(sql_form(&fold, str_of(TEXTS[i]))));
        assert_str(search_initials(&f.arena, folded), str_of(sql_form(&initials, folded)));
        assert_str(search_compact(&f.arena, folded), str_of(sql_form(&compact, folded)));
        size_t count = search_words(&f.arena, folded, words);
        const char *joined = "";
        for (size_t w = 0; w < count; w++)
            joined = arena_printf(&f.arena, "%s%s%.*s", joined, w ? "|" : "", (int)words[w].len, words[w].ptr);
        assert_str(str_of(joined), str_of(sql_form(&words_of, folded)));
    }
}

Test(search_sql, relevance_has_an_order) {
    static const char *const TITLES[] = {"harry potter",     "the harry potter story", "harry potterson",
                                         "potter and harry", "harrypotterish",         "something else"};
    int64_t last = INT64_MAX;
    for (size_t i = 0; i < sizeof TITLES / sizeof *TITLES; i++) {
        const char *doc = arena_printf(&f.arena, "%s\nharry potter", TITLES[i]);
        const char *score = sql_form(&relevance, str_of(doc));
        int64_t now;
        cr_assert(str_to_i64(str_of(score), &now));
        cr_assert(now / 1000 < last / 1000 || i == 4, "%s: %s", TITLES[i], score);
        last = now;
    }
}

Test(search_sql, tags_match_whole_and_folded) {
    content("a", "", "액션");
    content("b", "", "Sci-Fi, 1990");
    cr_assert_eq(tagged("액션", NULL), 1);
    cr_assert_eq(tagged("액", NULL), 0);
    cr_assert_eq(tagged("sci-fi, 1990", NULL), 1);
    cr_assert_eq(tagged("Ｓci-fi, 1990", "액션"), 2);
    cr_assert_eq(tagged("Sci-Fi", "1990"), 0);
}
