/* Settings: one table (name, type, default, range, secret, help). A value comes from the environment, else from
 * MOPL_SETTINGS, $MOPL_DATA/settings.env if unset (0600, written at first start with generated secrets), else from the default. */
#ifndef MOPL_CONF_H
#define MOPL_CONF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "rc.h"
#include "str.h"

/* Every setting as text or number; texts are owned by the struct and NUL-terminated, "" when unset. */
struct conf {
#define CONF_TEXT(field, name, def, secret, help) const char *field;
#define CONF_INT(field, name, def, min, max, help) int64_t field;
#define CONF_BOOL(field, name, def, help) bool field;
#include "conf.def"
#undef CONF_TEXT
#undef CONF_INT
#undef CONF_BOOL
    bool private_database; /* MOPL_DATABASE_URL was unset: the control script runs a server under data_dir */
    bool private_redis;    /* the same of MOPL_REDIS_URL */
    char *storage;         /* what the texts point into */
};

/* Reads and checks everything; every error is reported on `errors` (one line each, naming the setting) before RC_BAD_INPUT
 * is returned. An empty value counts as unset. Filled in when unset: settings_file, database_url and redis_url of the private
 * servers under data_dir, tls_key, public_url; with a certificate secure_cookies is true. jwt_key may be "" (tools do without it).
 * MOPL_ names of the environment that are no settings are only warned of. On an error `c` is left alone. */
MUST_CHECK enum rc conf_load(struct conf *c, FILE *errors);
void conf_fini(struct conf *c);
/* A line per setting: NAME=value, secrets as ********, then its help as a comment. */
void conf_print(const struct conf *c, FILE *out);
/* NAME='value' lines for a shell to source, secrets included, then mopl_private_database and mopl_private_redis as 'on' or 'off':
 * for the control script only. */
void conf_export(const struct conf *c, FILE *out);

#endif
