#include "sportsdb.h"

#include "buf.h"
#include "json.h"

/* Printing of views, absent ones too: "%.*s". */
#define V(s) (int)(s).len, (s).ptr ? (s).ptr : ""

/* Sentences end with a blank; the last one is trimmed. They avoid particles that depend on the sound of the word before. */
static void describe(struct arena *a, struct json_object *event, struct str home, struct str away, struct buf *b) {
    struct str date = json_text(a, event, "dateEvent"), league = json_text(a, event, "strLeague");
    struct str venue = json_text(a, event, "strVenue"), said = json_text(a, event, "strDescriptionEN");
    struct json_object *score;
    if (date.ptr) buf_addf(b, "%.*s ", V(date));
    if (league.ptr) buf_addf(b, "%.*s ", V(league));
    buf_add(b, STR("경기입니다. "));
    if (home.ptr && away.ptr) buf_addf(b, "홈 팀은 %.*s, 원정 팀은 %.*s입니다. ", V(home), V(away));
    if (venue.ptr) buf_addf(b, "장소는 %.*s입니다. ", V(venue));
    bool scored = json_object_object_get_ex(event, "intHomeScore", &score) && score &&
                  json_object_object_get_ex(event, "intAwayScore", &score) && score;
    if (scored)
        buf_addf(b, "결과는 %lld:%lld입니다. ", (long long)json_number(event, "intHomeScore"),
                 (long long)json_number(event, "intAwayScore"));
    if (str_eq_nocase(json_text(a, event, "strPostponed"), STR("yes"))) buf_add(b, STR("연기되었습니다. "));
    if (said.ptr) buf_addf(b, "\n%.*s", V(said));
}

bool sportsdb_item(struct arena *a, struct json_object *event, struct item *out) {
    if (!json_object_is_type(event, json_type_object)) return false;
    int64_t id = json_number(event, "idEvent");
    struct str home = json_text(a, event, "strHomeTeam"), away = json_text(a, event, "strAwayTeam");
    *out = (struct item){.type = "sport", .source = "thesportsdb", .title = json_text(a, event, "strEvent")};
    if (!out->title.ptr && home.ptr && away.ptr) out->title = str_of(arena_printf(a, "%.*s vs %.*s", V(home), V(away)));
    if (id <= 0 || !out->title.ptr) return false;
    out->source_id = str_of(arena_printf(a, "%lld", (long long)id));
    item_add_tag(a, out, json_text(a, event, "strSport"));
    item_add_tag(a, out, json_text(a, event, "strLeague"));
    item_add_tag(a, out, home);
    item_add_tag(a, out, away);
    if (out->tag_count == 0) item_add_tag(a, out, STR("스포츠"));
    struct str image = json_text(a, event, "strThumb");
    if (!image.ptr) image = json_text(a, event, "strPoster");
    if (str_starts(image, STR("https://")) || str_starts(image, STR("http://"))) out->image = image;
    struct buf b;
    buf_init(&b);
    describe(a, event, home, away, &b);
    out->description = arena_dup(a, buf_str(&b));
    buf_fini(&b);
    item_finish(out);
    return true;
}
