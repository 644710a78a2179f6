/* Makes people with a session each in the instance of the settings, and prints a line for each: id and access token.
 *   people COUNT */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "conf.h"
#include "db.h"
#include "jwt_token.h"

static struct db_stmt make = {
    "make",
    "WITH u AS (INSERT INTO users (id, email, name) VALUES ($1::uuid, $1::text || '@bench.example', 'Bench')) "
    "INSERT INTO sessions (id, user_id, expires_at) VALUES ($2::uuid, $1::uuid, now() + interval '1 day')",
    0};

static void make_person(const struct conf *conf, struct db *db) {
    struct arena arena;
    struct db_params p;
    struct str token;
    char id[UUID_TEXT_LEN + 1];
    int64_t now_s = clock_now_us() / 1000000;
    struct jwt_claims claims = {
        .user_id = uuid_v7(), .session_id = uuid_v7(), .token_id = uuid_v7(), .issued_s = now_s, .expires_s = now_s + 86400};
    arena_init(&arena);
    dbp_init(&p);
    dbp_uuid(&p, claims.user_id);
    dbp_uuid(&p, claims.session_id);
    if (db_exec(db, &arena, DB_WRITE, &make, &p, NULL) || jwt_token_sign(&arena, conf, &claims, &token))
        errx(1, "a person could not be made");
    printf("%s %.*s\n", uuid_cstr(claims.user_id, id), (int)token.len, token.ptr);
    arena_fini(&arena);
}

int main(int argc, char **argv) {
    struct conf conf;
    long count = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
    if (count <= 0) errx(2, "usage: people COUNT");
    if (conf_load(&conf, stderr)) return 2;
    struct db *db = db_new(conf.database_url, 10000);
    for (long i = 0; i < count; i++) make_person(&conf, db);
    db_free(db);
    conf_fini(&conf);
    return 0;
}
