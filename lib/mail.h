/* Mails: composed here (RFC 5322, UTF-8, multipart/alternative), and handed to the mail server of MOPL_SMTP_URL, or else written as
 * one .eml a mail into MOPL_DATA/mail. workers/mailer is who sends. */
#ifndef MOPL_MAIL_H
#define MOPL_MAIL_H

#include <stdbool.h>

#include "arena.h"
#include "conf.h"
#include "rc.h"
#include "str.h"
#include "uuid.h"

struct mail {
    struct uuid id; /* of its Message-ID: a mail that is sent a second time is recognised by it */
    struct str to;  /* address, checked by the caller; CR, LF, < and > are refused */
    struct str subject;
    struct str text; /* plain text body */
    struct str html; /* the same as HTML, already escaped */
};

/* The message as RFC 5322 text with CRLF lines: encoded subject, Date, Message-ID, base64 bodies. RC_BAD_INPUT for a bad address.
 */
MUST_CHECK enum rc mail_compose(struct arena *a, const struct conf *conf, const struct mail *mail, struct str *out);
/* The bare address of the sender of MOPL_MAIL_FROM. RC_BAD_INPUT if it has none. */
MUST_CHECK enum rc mail_sender(struct arena *a, const struct conf *conf, struct str *address);
/* Writes it to the folder MOPL_DATA/mail, mode 0600, whole or not at all. RC_UNAVAILABLE if that fails. */
MUST_CHECK enum rc mail_write(struct arena *a, const struct conf *conf, const struct mail *mail);
/* Removes the mails to that address from the folder: for people who are gone. */
void mail_forget(struct arena *a, const struct conf *conf, struct str to);

#endif
