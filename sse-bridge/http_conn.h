/* Connections whose peer speaks HTTP (conn_accept), and what the answers of all transports have in common.
 *
 *     GET  /api/sse                       sse.h
 *     ...  /ws/...                        SockJS (sockjs.h): ws.h, xhr.h
 *     GET  /metrics, ... /internal/...    operators, on the unix socket, past the front server
 *
 * A page of a foreign origin is refused (403) on all addresses of SockJS: it must be of the host that was asked, of
 * MOPL_PUBLIC_URL, or of MOPL_ALLOWED_ORIGINS. */
#ifndef MOPL_BRIDGE_HTTP_CONN_H
#define MOPL_BRIDGE_HTTP_CONN_H

#include "buf.h"
#include "conn.h"
#include "http_head.h"

enum { HTTP_HEAD_BYTES_MAX = 16 * 1024, HTTP_BODY_BYTES_MAX = CONN_INPUT_MAX - HTTP_HEAD_BYTES_MAX };

extern const struct protocol http_protocol;

/* Status line and the fields that every answer to this request has: Connection, Cache-Control, and for an allowed foreign page
 * those of CORS. Further fields follow, then http_answer_end or http_answer_body. `last`: the end of the body is shown by closing.
 */
void http_conn_answer(struct buf *b, const struct conn *c, const struct http_head *head, int status, bool last);
/* Those of CORS alone. */
void http_conn_cors(struct buf *b, const struct conn *c, const struct http_head *head);

/* A request that was answered later, on a connection that another protocol has had meanwhile, is done: the next one may come. */
void http_conn_resume(struct conn *c);
/* Address of the client as text: of the front server's X-Forwarded-For, else the peer's own. Borrowed from head or `own`. */
struct str http_conn_address(const struct conn *c, const struct http_head *head, char own[CONN_ADDRESS_MAX]);

#endif
