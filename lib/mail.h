/* Mails: engine "files": one .eml (RFC 5322, UTF-8, multipart/alternative) a mail under MOPL_DATA/mail. */
#ifndef MOPL_MAIL_H
#define MOPL_MAIL_H

#include "arena.h"
#include "conf.h"
#include "messages.h"
#include "rc.h"
#include "str.h"

struct mail {
    struct str to; /* address, checked by the caller; CR, LF, < and > are refused */
    struct str subject;
    struct str text; /* plain text body */
    struct str html; /* the same as HTML, already escaped */
};

/* The message as RFC 5322 text with CRLF lines: encoded subject, Date, Message-ID, base64 bodies. RC_BAD_INPUT for a bad address.
 */
MUST_CHECK enum rc mail_compose(struct arena *a, const struct conf *conf, const struct mail *mail, struct str *out);
/* Writes it to the folder MOPL_DATA/mail, mode 0600, whole or not at all. RC_UNAVAILABLE if that fails. */
MUST_CHECK enum rc mail_send(struct arena *a, const struct conf *conf, const struct mail *mail);
/* The temporary password mail in the given language. */
MUST_CHECK enum rc mail_send_temporary_password(struct arena *a, const struct conf *conf, enum lang lang, struct str to,
                                                struct str password, int64_t valid_s);

#endif
