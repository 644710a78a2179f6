/* What operators ask a bridge over its unix socket, past the front server (`mopl admin`), and what the health of the instance is
 * told by.
 *
 *     GET  /internal/health                        {"state","number","database","redis","bus","sse","webSocket","people"}
 *     GET  /internal/connections[?skip=N]          {"people":[{"userId","name","sse","webSocket"}],"next":N|null}
 *     GET  /internal/connections?userId=UUID       {"userId","name","streams":[{"kind","sessionId"}]}; 404 without any; at most
 * 1,000 GET  /internal/rooms[?skip=N]                {"rooms":[{"contentId","tabs"}],"next":N|null}: subscriptions on this bridge
 *     POST /internal/close-user?userId=UUID        {"closed":N}: ends all streams of a user
 *
 * Lists come in pieces: `next` is the `skip` of the one that follows. What comes or goes meanwhile may be missed or repeated. */
#ifndef MOPL_BRIDGE_INTERNAL_H
#define MOPL_BRIDGE_INTERNAL_H

#include "bridge.h"
#include "http_head.h"

/* Answers a request below /internal/: appends a JSON body (under 128 KB) and returns the status. */
int internal_answer(struct bridge *b, const struct http_head *head, struct buf *body);

#endif
