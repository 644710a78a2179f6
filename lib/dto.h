/* JSON of the contract's types that several resource groups share, and the columns they are read from. */
#ifndef MOPL_DTO_H
#define MOPL_DTO_H

#include "db.h"
#include "json_write.h"

/* UserSummary of users row alias `u`. */
#define DTO_USER_SUMMARY_COLUMNS(u) u ".id, " u ".name, " u ".image_key"
enum { DTO_USER_SUMMARY_WIDTH = 3 };
void dto_user_summary(struct buf *out, const struct db_rows *rows, int row, int first);

/* UserDto of users row alias `u`. */
#define DTO_USER_COLUMNS(u) u ".id, " u ".created_at, " u ".email, " u ".name, " u ".image_key, " u ".role, " u ".locked"
enum { DTO_USER_WIDTH = 7 };
void dto_user(struct buf *out, const struct db_rows *rows, int row, int first);

/* ContentSummary and ContentDto of contents row alias `c`. */
#define DTO_CONTENT_COLUMNS(c)                                                                                     \
    c ".id, " c ".type, " c ".title, " c ".description, " c ".thumbnail_key, " c ".tags, " c ".average_rating, " c \
      ".review_count, " c ".watcher_count"
enum { DTO_CONTENT_WIDTH = 9 };
void dto_content_summary(struct buf *out, const struct db_rows *rows, int row, int first);
void dto_content(struct buf *out, const struct db_rows *rows, int row, int first);

/* Address "/api/files/KEY" of a stored picture as a JSON string; null if the key is absent. (A content without a picture shows its
 * generated poster instead: "/api/posters/ID.svg?v=VERSION in 16 hex digits".) */
void dto_file_url(struct buf *out, struct str key);
/* Version that changes whenever the poster of this title and type would (for the poster's address). */
uint64_t dto_poster_version(struct str type, struct str title);

#endif
