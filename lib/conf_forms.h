/* Forms that values of settings have; for conf.c. */
#ifndef MOPL_CONF_FORMS_H
#define MOPL_CONF_FORMS_H

#include <stdbool.h>
#include <stdint.h>

#include "str.h"

/* ASCII letters, digits and the characters of `extra` only, and not empty. */
bool conf_has_only(struct str s, const char *extra);
bool conf_is_ipv6(const char *text);
/* SCHEME://HOST[:PORT], as browsers send it in Origin; and a comma separated list of them. */
bool conf_is_origin(struct str s);
bool conf_is_origin_list(struct str list);
/* HOST:PORT, where so many ports follow one another. */
bool conf_has_port(const char *text, int64_t ports);
/* An origin that may name an account. A slash at its end is let pass. */
bool conf_is_http_url(struct str s);
bool conf_is_index_name(struct str s);
bool conf_is_mail_address(struct str s);
/* `allowed` is NULL-ended. */
bool conf_is_one_of(const char *value, const char *const *allowed);
/* Addresses and networks, comma separated; fit for the front server's configuration. */
bool conf_is_network_list(struct str list);
/* An address of this site or of another, fit for a header. */
bool conf_is_target(const char *url);
bool conf_is_database_url(const char *url);
/* http or https, any path, no slash at its end. */
bool conf_is_web_address(struct str s);

#endif
