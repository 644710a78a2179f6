/* SMTP by libcurl: hands one message at a time to the mail server of MOPL_SMTP_URL, on a connection that is kept. */
#ifndef MOPL_SMTP_H
#define MOPL_SMTP_H

#include <stdbool.h>

#include "arena.h"
#include "conf.h"
#include "rc.h"
#include "str.h"

struct smtp;

/* Never NULL; connects on first use. `stop` is asked while a message is under way: true gives it up. */
struct smtp *smtp_new(const struct conf *conf, bool (*stop)(void));
void smtp_free(struct smtp *s);

/* Hands over a composed message. RC_OK: the server has taken it. RC_NOT_FOUND: it says that there is no such receiver (550, 551,
 * 553). RC_UNAVAILABLE: anything else, worth another try. `*error` then tells why (static or arena; without addresses). */
MUST_CHECK enum rc smtp_send(struct smtp *s, struct arena *a, struct str from, struct str to, struct str message,
                             const char **error);

/* Asks the server whether it is there, on a connection of its own, as far as a mail would go without a receiver: with TLS and
 * signing in. RC_UNAVAILABLE within 10 s if not; `*error` as above. */
MUST_CHECK enum rc smtp_ping(struct smtp *s, struct arena *a, const char **error);

#endif
