#include "catalogue.h"

#include <json-c/json.h>

#include "buf.h"
#include "hex.h"
#include "utf8.h"

enum { FILM_FIELDS = 11, MATCH_FIELDS = 6, SOURCE_ID_BYTES = 16 };
/* The films were collected then; a later year had two digits once and got the wrong century. */
enum { FILMS_COLLECTED_IN = 2011, CENTURY = 100 };

enum film_field { F_TITLE, F_DATE, F_RATING, F_MINUTES, F_DISTRIBUTOR, F_SOURCE, F_GENRE, F_KIND, F_DIRECTOR, F_IMDB, F_VOTES };
enum match_field { M_DATE, M_DIVISION, M_HOME, M_AWAY, M_HOME_SCORE, M_AWAY_SCORE };

struct date {
    int year, month, day; /* year 0: unknown */
};

struct word {
    const char *source;
    const char *korean;
};

/* Words of the source in Korean; what is not listed is shown as it is, or not at all where `korean` is a whole sentence. */
static const struct word genres[] = {{"Drama", "드라마"},
                                     {"Comedy", "코미디"},
                                     {"Musical", "뮤지컬"},
                                     {"Thriller/Suspense", "스릴러"},
                                     {"Adventure", "모험"},
                                     {"Action", "액션"},
                                     {"Romantic Comedy", "로맨틱 코미디"},
                                     {"Horror", "공포"},
                                     {"Western", "서부극"},
                                     {"Documentary", "다큐멘터리"},
                                     {"Black Comedy", "블랙 코미디"},
                                     {"Concert/Performance", "공연 실황"},
                                     {0}};
static const struct word kinds[] = {{"Contemporary Fiction", "현대극"},
                                    {"Science Fiction", "공상 과학(SF)"},
                                    {"Historical Fiction", "시대극"},
                                    {"Fantasy", "판타지"},
                                    {"Dramatization", "실화를 극으로 옮긴 작품"},
                                    {"Factual", "사실 기록"},
                                    {"Super Hero", "슈퍼히어로물"},
                                    {"Kids Fiction", "어린이 이야기"},
                                    {0}};
static const struct word origins[] = {{"Original Screenplay", "원작 없이 새로 쓴 각본입니다."},
                                      {"Based on Short Film", "단편 영화를 바탕으로 합니다."},
                                      {"Based on Play", "연극을 원작으로 합니다."},
                                      {"Based on Book/Short Story", "소설을 원작으로 합니다."},
                                      {"Remake", "이전 영화를 다시 만든 작품입니다."},
                                      {"Based on Comic/Graphic Novel", "만화를 원작으로 합니다."},
                                      {"Based on Real Life Events", "실제 있었던 일을 바탕으로 합니다."},
                                      {"Traditional/Legend/Fairytale", "옛이야기를 바탕으로 합니다."},
                                      {"Based on TV", "TV 프로그램을 바탕으로 합니다."},
                                      {"Based on Musical/Opera", "뮤지컬이나 오페라를 원작으로 합니다."},
                                      {"Based on Game", "게임을 원작으로 합니다."},
                                      {"Spin-Off", "다른 작품에서 갈라져 나온 이야기입니다."},
                                      {"Based on Factual Book/Article", "논픽션을 바탕으로 합니다."},
                                      {"Based on Magazine Article", "잡지 기사를 바탕으로 합니다."},
                                      {"Disney Ride", "놀이 기구에서 출발한 이야기입니다."},
                                      {"Based on Toy", "장난감에서 출발한 이야기입니다."},
                                      {0}};
static const struct word divisions[] = {{"Österreichische Bundesliga", "오스트리아 분데스리가"},
                                        {"Deutsche Bundesliga", "독일 분데스리가"},
                                        {"English Premier League", "잉글랜드 프리미어리그"},
                                        {"Primera Division", "스페인 라리가"},
                                        {"Serie A", "이탈리아 세리에 A"},
                                        {0}};

static const char *const month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

/* Absent if the word is not in the list. */
static struct str korean(const struct word *list, struct str source) {
    for (; list->source; list++)
        if (str_eq(source, str_of(list->source))) return str_of(list->korean);
    return (struct str){0};
}

/* Printing of views, absent ones too: "%.*s". */
#define V(s) (int)(s).len, (s).ptr ? (s).ptr : ""

/* Fields */

/* Texts of the row's values, numbers included; null gives the absent view. Valid UTF-8 only. */
static bool read_fields(struct arena *a, struct str row, struct str *fields, size_t count) {
    if (!utf8_valid(row) || row.len > INT32_MAX) return false;
    struct json_tokener *tokener = json_tokener_new();
    json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
    struct json_object *array = json_tokener_parse_ex(tokener, row.ptr, (int)row.len);
    bool ok = json_object_is_type(array, json_type_array) && json_object_array_length(array) == count &&
              json_tokener_get_parse_end(tokener) == row.len;
    for (size_t i = 0; ok && i < count; i++) {
        struct json_object *value = json_object_array_get_idx(array, i);
        enum json_type type = json_object_get_type(value);
        fields[i] = (struct str){0};
        if (type == json_type_null) continue;
        ok = type == json_type_string || type == json_type_int || type == json_type_double;
        if (!ok) break;
        struct str text = type == json_type_string
                              ? str_from(json_object_get_string(value), (size_t)json_object_get_string_len(value))
                              : str_of(json_object_get_string(value));
        ok = utf8_valid(text); /* an escape may have made what the row itself is not */
        if (ok) fields[i] = item_tidy(a, text);
    }
    json_object_put(array);
    json_tokener_free(tokener);
    return ok;
}

static bool number_within(struct str text, int min, int max, int *out) {
    int64_t n;
    if (!str_to_i64(text, &n) || n < min || n > max) return false;
    *out = (int)n;
    return true;
}

/* "Jun 12 1998" */
static struct date film_date(struct str text) {
    struct date d = {0};
    struct str rest = text, month = str_cut(&rest, ' '), day = str_cut(&rest, ' ');
    for (int i = 0; i < 12; i++)
        if (str_eq_nocase(month, str_of(month_names[i]))) d.month = i + 1;
    if (d.month == 0 || !number_within(day, 1, 31, &d.day) || !number_within(rest, 1880, 2100, &d.year)) return (struct date){0};
    if (d.year > FILMS_COLLECTED_IN) d.year -= CENTURY;
    return d;
}

/* "2013-07-20" */
static struct date match_date(struct str text) {
    struct date d = {0};
    struct str rest = text, year = str_cut(&rest, '-'), month = str_cut(&rest, '-');
    if (!number_within(year, 1850, 2100, &d.year) || !number_within(month, 1, 12, &d.month) || !number_within(rest, 1, 31, &d.day))
        return (struct date){0};
    return d;
}

/* "Barbarians, The" as people say it. */
static struct str article_first(struct arena *a, struct str title) {
    static const char *const articles[] = {"The", "A", "An"};
    for (size_t i = 0; i < sizeof articles / sizeof *articles; i++) {
        struct str end = str_of(arena_printf(a, ", %s", articles[i]));
        if (title.len > end.len && str_eq(str_from(title.ptr + title.len - end.len, end.len), end))
            return str_of(arena_printf(a, "%s %.*s", articles[i], (int)(title.len - end.len), title.ptr));
    }
    return title;
}

/* Items */

static void add_year_tag(struct arena *a, struct item *item, struct date d) {
    if (d.year > 0) item_add_tag(a, item, str_of(arena_printf(a, "%d", d.year)));
}

static struct str source_id(struct arena *a, const struct str *parts, size_t count) {
    uint8_t digest[ITEM_HASH_BYTES];
    char *text = arena_alloc(a, 2 * SOURCE_ID_BYTES + 1);
    item_hash(parts, count, digest);
    hex_cstr(digest, SOURCE_ID_BYTES, text);
    return str_of(text);
}

/* What both kinds have in common, once type, title, tags and date are known. */
static void finish(struct arena *a, struct catalogue_item *row, struct date d, struct buf *description) {
    row->item.description = arena_dup(a, buf_str(description));
    row->day = (d.year * 100 + d.month) * 100 + d.day;
    item_finish(&row->item);
}

/* Sentences end with a blank; the last one is trimmed. They avoid particles that depend on the sound of the word before. */
static void describe_film(struct buf *b, const struct str *f, struct date d) {
    if (d.year > 0) buf_addf(b, "%d년 %d월 %d일에 개봉한 ", d.year, d.month, d.day);
    struct str genre = korean(genres, f[F_GENRE]);
    if (!genre.ptr) genre = f[F_GENRE];
    if (genre.ptr) buf_addf(b, "%.*s ", V(genre));
    buf_add(b, STR("영화입니다. "));
    struct str kind = korean(kinds, f[F_KIND]);
    if (kind.ptr) buf_addf(b, "이야기 유형은 %.*s입니다. ", V(kind));
    if (f[F_DIRECTOR].ptr) buf_addf(b, "감독은 %.*s입니다. ", V(f[F_DIRECTOR]));
    struct str origin = korean(origins, f[F_SOURCE]);
    if (origin.ptr) buf_addf(b, "%.*s ", V(origin));
    if (f[F_DISTRIBUTOR].ptr) buf_addf(b, "배급사는 %.*s입니다. ", V(f[F_DISTRIBUTOR]));
    int minutes, votes;
    if (number_within(f[F_MINUTES], 1, 1000, &minutes)) buf_addf(b, "상영 시간은 %d분입니다. ", minutes);
    if (f[F_RATING].ptr) buf_addf(b, "관람 등급은 %.*s입니다. ", V(f[F_RATING]));
    double imdb;
    if (str_to_f64(f[F_IMDB], &imdb) && imdb >= 0 && imdb <= 10 && number_within(f[F_VOTES], 1, INT32_MAX, &votes))
        buf_addf(b, "IMDB 평점은 10점 만점에 %.1f점(%d명 참여)입니다. ", imdb, votes);
}

static void describe_film_in_english(struct buf *b, const struct str *f, struct date d) {
    buf_addf(b, "\n%.*s%sfilm", V(f[F_GENRE]), f[F_GENRE].ptr ? " " : "");
    if (d.year > 0) buf_addf(b, " released on %s %d, %d", month_names[d.month - 1], d.day, d.year);
    if (f[F_DISTRIBUTOR].ptr) buf_addf(b, " by %.*s", V(f[F_DISTRIBUTOR]));
    if (f[F_DIRECTOR].ptr) buf_addf(b, ", directed by %.*s", V(f[F_DIRECTOR]));
    if (f[F_KIND].ptr) buf_addf(b, ". %.*s", V(f[F_KIND]));
    buf_add_char(b, '.');
}

/* A film without a title is named by what is known of it. */
static struct str film_title(struct arena *a, const struct str *f, struct date d) {
    if (f[F_TITLE].ptr) return article_first(a, f[F_TITLE]);
    struct str by = f[F_DIRECTOR].ptr ? f[F_DIRECTOR] : f[F_DISTRIBUTOR];
    if (by.ptr && d.year > 0) return str_of(arena_printf(a, "제목 미상 (%.*s, %d)", V(by), d.year));
    if (d.year > 0) return str_of(arena_printf(a, "제목 미상 (%d)", d.year));
    return STR("제목 미상");
}

bool catalogue_film(struct arena *a, struct str row, struct catalogue_item *out) {
    struct str f[FILM_FIELDS];
    if (!read_fields(a, row, f, FILM_FIELDS)) return false;
    /* Placeholders of the source for "null". */
    if (str_eq(f[F_DISTRIBUTOR], STR("Distributor Unknown"))) f[F_DISTRIBUTOR] = (struct str){0};
    if (str_eq(f[F_KIND], STR("Multiple Creative Types"))) f[F_KIND] = (struct str){0};
    if (str_eq(f[F_RATING], STR("Not Rated")) || str_eq(f[F_RATING], STR("Open"))) f[F_RATING] = (struct str){0};
    struct date d = film_date(f[F_DATE]);
    *out = (struct catalogue_item){{.type = "movie", .source = "vega-movies"}, .raw = row, .title_missing = !f[F_TITLE].ptr};
    struct item *item = &out->item;
    item->title = film_title(a, f, d);
    const struct str identity[] = {f[F_TITLE], f[F_DATE]};
    item->source_id = source_id(a, identity, 2);
    item_add_tag(a, item, f[F_GENRE]);
    item_add_tag(a, item, f[F_KIND]);
    item_add_tag(a, item, f[F_DISTRIBUTOR]);
    add_year_tag(a, item, d);
    if (item->tag_count == 0) item_add_tag(a, item, STR("영화"));
    struct buf b;
    buf_init(&b);
    describe_film(&b, f, d);
    describe_film_in_english(&b, f, d);
    finish(a, out, d, &b);
    buf_fini(&b);
    return true;
}

static void describe_match(struct buf *b, const struct str *f, struct date d, const int *scores) {
    struct str division = korean(divisions, f[M_DIVISION]);
    if (!division.ptr) division = f[M_DIVISION];
    if (d.year > 0) buf_addf(b, "%d년 %d월 %d일에 열린 ", d.year, d.month, d.day);
    buf_addf(b, "%.*s%s축구 경기입니다. ", V(division), division.ptr ? " " : "");
    buf_addf(b, "홈 팀은 %.*s, 원정 팀은 %.*s입니다. ", V(f[M_HOME]), V(f[M_AWAY]));
    if (!scores) {
        buf_add(b, STR("점수는 기록되지 않았습니다. "));
    } else if (scores[0] == scores[1]) {
        buf_addf(b, "%d:%d 무승부로 끝났습니다. ", scores[0], scores[1]);
    } else {
        struct str winner = scores[0] > scores[1] ? f[M_HOME] : f[M_AWAY];
        buf_addf(b, "결과는 %d:%d, 승리 팀은 %.*s입니다. ", scores[0], scores[1], V(winner));
    }
}

bool catalogue_match(struct arena *a, struct str row, struct catalogue_item *out) {
    struct str f[MATCH_FIELDS];
    if (!read_fields(a, row, f, MATCH_FIELDS)) return false;
    struct date d = match_date(f[M_DATE]);
    *out = (struct catalogue_item){
        {.type = "sport", .source = "vega-football"}, .raw = row, .title_missing = !f[M_HOME].ptr || !f[M_AWAY].ptr};
    struct item *item = &out->item;
    const struct str identity[] = {f[M_DATE], f[M_DIVISION], f[M_HOME], f[M_AWAY]};
    item->source_id = source_id(a, identity, 4);
    item_add_tag(a, item, STR("Football"));
    item_add_tag(a, item, f[M_DIVISION]);
    item_add_tag(a, item, f[M_HOME]);
    item_add_tag(a, item, f[M_AWAY]);
    add_year_tag(a, item, d);
    if (!f[M_HOME].ptr) f[M_HOME] = STR("미정");
    if (!f[M_AWAY].ptr) f[M_AWAY] = STR("미정");
    item->title = str_of(arena_printf(a, "%.*s vs %.*s", V(f[M_HOME]), V(f[M_AWAY])));
    int scores[2];
    bool known = number_within(f[M_HOME_SCORE], 0, 1000, &scores[0]) && number_within(f[M_AWAY_SCORE], 0, 1000, &scores[1]);
    struct buf b;
    buf_init(&b);
    describe_match(&b, f, d, known ? scores : NULL);
    finish(a, out, d, &b);
    buf_fini(&b);
    return true;
}
