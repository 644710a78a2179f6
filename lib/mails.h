/* Mails as handlers ask for them: a row of the table mails, written in the transaction of what it tells of; workers/mailer composes
 * and sends it. What the wording of a kind names is in `details` (lib/mail_text.c); a temporary password is made when it is sent.
 */
#ifndef MOPL_MAILS_H
#define MOPL_MAILS_H

#define MAIL_TEMPORARY_PASSWORD "temporary-password"
#define MAIL_PASSWORD_CHANGED "password-changed"
#define MAIL_NEW_DEVICE "new-device"           /* device, address, at */
#define MAIL_ROLE_CHANGED "role-changed"       /* old, new */
#define MAIL_LOCKED "locked"                   /* nothing */
#define MAIL_UNLOCKED "unlocked"               /* nothing */
#define MAIL_DELETION_ASKED "deletion-asked"   /* at */
#define MAIL_DELETION_UNDONE "deletion-undone" /* nothing */

/* Part of a statement: a mail to each USER of FROM, in the language of the receiver. USER and DETAILS (jsonb) are SQL texts. */
#define MAIL_SQL(KIND, USER, DETAILS, FROM) \
    "INSERT INTO mails (user_id, kind, details) SELECT " USER ", '" KIND "', " DETAILS " FROM " FROM
/* A time of the details: seconds since 1970, which the wording shows in the zone of its language. */
#define MAIL_TIME_SQL(TIME) "extract(epoch FROM " TIME ")::bigint"

#endif
