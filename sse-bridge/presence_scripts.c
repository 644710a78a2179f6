/* Lua of Redis 7. Numbers are doubles, exact up to 2^53: microseconds and positions fit, but must not be joined to texts as they
 * are
 * (%.14g). A script is copied into Redis once and called by its hash. */
#include "presence_scripts.h"

/* What the scripts share; each is sent what it needs, as one text. */
#define CLOCK                                 \
    "local call, K = redis.call, 'mopl:w:'\n" \
    "local t = call('TIME')\n"                \
    "local us = t[1] * 1000000 + t[2]\n"      \
    "local ms = math.floor(us / 1000)\n"      \
    "local function num(n) return string.format('%.0f', n) end\n"

#define AGAIN_IF_OTHER_EPOCH "if call('GET', K .. 'epoch') ~= ARGV[1] then return {'again'} end\n"
#define AGAIN_IF_UNKNOWN                                                                                                   \
    AGAIN_IF_OTHER_EPOCH                                                                                                   \
    "if not call('ZSCORE', K .. 'bridges', ARGV[2]) and tonumber(call('ZSCORE', K .. 'ended', ARGV[2]) or 0) <= ms then\n" \
    "  return {'again'}\n"                                                                                                 \
    "end\n"

#define TELL                                                                                           \
    "local function tell(kind, room, ...)\n"                                                           \
    "  local pos = call('INCR', K .. 'position')\n"                                                    \
    "  call('XADD', 'mopl:live', 'MAXLEN', '~', 10000, num(pos) .. '-0', 't', kind, 'r', room, ...)\n" \
    "  return pos\n"                                                                                   \
    "end\n"

/* Takes a user out of his room, wherever his tabs are. */
#define LEAVE                                                                                 \
    "local function leave(user, why, quiet)\n"                                                \
    "  local u = K .. 'user:' .. user\n"                                                      \
    "  local e = call('HMGET', u, 'room', 'sid', 'at', 'who')\n"                              \
    "  if not e[1] then return end\n"                                                         \
    "  for _, f in ipairs(call('HKEYS', u)) do\n"                                             \
    "    if f:sub(1, 2) == 'b:' then call('SREM', K .. 'bridge:' .. f:sub(3), user) end\n"    \
    "  end\n"                                                                                 \
    "  call('DEL', u)\n"                                                                      \
    "  call('ZREM', K .. 'grace', user)\n"                                                    \
    "  call('ZREM', K .. 'room:' .. e[1], e[2] .. user)\n"                                    \
    "  local n = call('ZCARD', K .. 'room:' .. e[1])\n"                                       \
    "  if n == 0 then call('SREM', K .. 'rooms', e[1]) end\n"                                 \
    "  call('SADD', K .. 'dirty', e[1])\n"                                                    \
    "  if not quiet then\n"                                                                   \
    "    tell('LEAVE', e[1], 's', e[2], 'a', e[3], 'w', e[4], 'n', n, 'u', user, 'y', why)\n" \
    "  end\n"                                                                                 \
    "end\n"

#define ENTER                                                                                          \
    "local function enter(user, room, sid, at, who)\n"                                                 \
    "  call('HSET', K .. 'user:' .. user, 'room', room, 'sid', sid, 'at', at, 'who', who, 'pos', 0)\n" \
    "  call('ZADD', K .. 'room:' .. room, at, sid .. user)\n"                                          \
    "  call('SADD', K .. 'rooms', room)\n"                                                             \
    "  call('SADD', K .. 'dirty', room)\n"                                                             \
    "end\n"                                                                                            \
    "local function tell_join(user, room, sid, at, who, why)\n"                                        \
    "  local n = call('ZCARD', K .. 'room:' .. room)\n"                                                \
    "  local pos = tell('JOIN', room, 's', sid, 'a', at, 'w', who, 'n', n, 'u', user, 'y', why)\n"     \
    "  call('HSET', K .. 'user:' .. user, 'pos', num(pos))\n"                                          \
    "  return pos\n"                                                                                   \
    "end\n"

/* A tab of the bridge holds him; what bridges that live no longer had of him is settled by his being back. */
#define HOLD                                                    \
    "local function hold(user, bridge)\n"                       \
    "  local u = K .. 'user:' .. user\n"                        \
    "  call('HDEL', u, 'g')\n"                                  \
    "  call('ZREM', K .. 'grace', user)\n"                      \
    "  for _, f in ipairs(call('HKEYS', u)) do\n"               \
    "    local b = f:sub(1, 2) == 'b:' and f:sub(3)\n"          \
    "    if b and not call('ZSCORE', K .. 'bridges', b) then\n" \
    "      call('HDEL', u, f)\n"                                \
    "      call('SREM', K .. 'bridge:' .. b, user)\n"           \
    "    end\n"                                                 \
    "  end\n"                                                   \
    "  call('HSET', u, 'b:' .. bridge, 1)\n"                    \
    "  call('SADD', K .. 'bridge:' .. bridge, user)\n"          \
    "end\n"

/* Lets him go unless something holds him: a tab on a living bridge, or the grace time of a lost one. */
#define RELEASE                                                                            \
    "local function release(user, why)\n"                                                  \
    "  local u = K .. 'user:' .. user\n"                                                   \
    "  local due = tonumber(call('HGET', u, 'g') or 0)\n"                                  \
    "  for _, f in ipairs(call('HKEYS', u)) do\n"                                          \
    "    local b = f:sub(1, 2) == 'b:' and f:sub(3)\n"                                     \
    "    if b and call('ZSCORE', K .. 'bridges', b) then\n"                                \
    "      call('ZREM', K .. 'grace', user)\n"                                             \
    "      return\n"                                                                       \
    "    end\n"                                                                            \
    "    local ending = b and call('ZSCORE', K .. 'ended', b)\n"                           \
    "    if ending then due = math.max(due, tonumber(ending)) end\n"                       \
    "  end\n"                                                                              \
    "  if due > ms then call('ZADD', K .. 'grace', due, user) else leave(user, why) end\n" \
    "end\n"

/* Positions go on above those that were given before Redis lost its memory. */
struct redis_link_script presence_hello = {CLOCK
                                           "local bridge, slot = ARGV[1], ARGV[2]\n"
                                           "local epoch = call('GET', K .. 'epoch')\n"
                                           "local fresh = not epoch\n"
                                           "if fresh then\n"
                                           "  epoch = num(ms) .. ':' .. ARGV[5]\n"
                                           "  call('SET', K .. 'epoch', epoch)\n"
                                           "end\n"
                                           "if not call('GET', K .. 'position') then\n"
                                           "  call('SET', K .. 'position', num(math.max(us, tonumber(ARGV[6]))))\n"
                                           "end\n"
                                           "if fresh then call('SET', K .. 'base', call('GET', K .. 'position')) end\n"
                                           "local former = call('HGET', K .. 'slots', slot)\n"
                                           "if ARGV[7] == '1' and former and call('ZREM', K .. 'bridges', former) == 1 then\n"
                                           "  call('ZADD', K .. 'ended', ms + ARGV[4], former)\n"
                                           "end\n"
                                           "if ARGV[7] == '1' or not former then call('HSET', K .. 'slots', slot, bridge) end\n"
                                           "local alive = call('ZSCORE', K .. 'bridges', bridge) and 1 or 0\n"
                                           "call('ZADD', K .. 'bridges', ms + ARGV[3], bridge)\n"
                                           "call('ZREM', K .. 'ended', bridge)\n"
                                           "return {epoch, call('GET', K .. 'position'), alive, call('GET', K .. 'base') or '0'}\n",
                                           ""};

struct redis_link_script presence_retire_script = {
    CLOCK "local bridge, slot = ARGV[1], ARGV[2]\n"
          "if call('ZREM', K .. 'bridges', bridge) == 1 then call('ZADD', K .. 'ended', ms + ARGV[3], bridge) end\n"
          "if call('HGET', K .. 'slots', slot) == bridge then call('HDEL', K .. 'slots', slot) end\n"
          "return {'ok'}\n",
    ""};

struct redis_link_script presence_enter = {CLOCK AGAIN_IF_UNKNOWN TELL LEAVE ENTER HOLD
                                           "local bridge, user, room, sid, who = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]\n"
                                           "local u, how = K .. 'user:' .. user, 'same'\n"
                                           "local before = call('HGET', u, 'room')\n"
                                           "if before ~= room then\n"
                                           "  how = 'join'\n"
                                           "  leave(user, 'moved')\n"
                                           "  enter(user, room, sid, num(us), who)\n"
                                           "  local pos = tell_join(user, room, sid, num(us), who, 'join')\n"
                                           "  call('ZADD', K .. 'started', pos, user .. ' ' .. room .. ' ' .. sid)\n"
                                           "else\n"
                                           "  call('HSET', u, 'who', who)\n"
                                           "end\n"
                                           "hold(user, bridge)\n"
                                           "local e = call('HMGET', u, 'sid', 'at', 'pos')\n"
                                           "return {how, e[1], e[2], e[3], call('ZCARD', K .. 'room:' .. room)}\n",
                                           ""};

/* Of two rooms the one that he joined last is his. */
struct redis_link_script presence_reenter = {
    CLOCK AGAIN_IF_UNKNOWN TELL LEAVE ENTER HOLD
    "local bridge, user, room, sid, at, who = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]\n"
    "local u, how, loud = K .. 'user:' .. user, 'same', ARGV[8] == '1'\n"
    "local before = call('HMGET', u, 'room', 'at')\n"
    "if before[1] ~= room then\n"
    "  if before[1] and tonumber(before[2]) >= tonumber(at) then return {'moved'} end\n"
    "  how = 'join'\n"
    "  leave(user, 'moved', not loud)\n"
    "  enter(user, room, sid, at, who)\n"
    "  if loud then tell_join(user, room, sid, at, who, 'again') end\n"
    "end\n"
    "hold(user, bridge)\n"
    "local e = call('HMGET', u, 'sid', 'at', 'pos')\n"
    "return {how, e[1], e[2], e[3], call('ZCARD', K .. 'room:' .. room)}\n",
    ""};

struct redis_link_script presence_leave_script = {
    CLOCK AGAIN_IF_OTHER_EPOCH TELL LEAVE RELEASE
    "local user, u, field = ARGV[3], K .. 'user:' .. ARGV[3], 'b:' .. ARGV[2]\n"
    "if call('HGET', u, 'room') ~= ARGV[4] or call('HEXISTS', u, field) == 0 then return {'ok'} end\n"
    "if ARGV[5] == 'lost' then call('HSET', u, 'g', num(ms + ARGV[7])) end\n"
    "if ARGV[6] == '1' then\n"
    "  call('HDEL', u, field)\n"
    "  call('SREM', K .. 'bridge:' .. ARGV[2], user)\n"
    "  release(user, ARGV[5])\n"
    "end\n"
    "return {'ok'}\n",
    ""};

struct redis_link_script presence_chat_script = {
    CLOCK AGAIN_IF_OTHER_EPOCH TELL
    "local user, room, body = ARGV[2], ARGV[3], ARGV[5]\n"
    "if call('HGET', K .. 'user:' .. user, 'room') ~= room then return {'forbidden'} end\n"
    "if ARGV[4] ~= '0' and not call('SET', 'mopl:chat:last:' .. user, 1, 'PX', ARGV[4], 'NX') then return {'too-many'} end\n"
    "local pos, lines = tell('CHAT', room, 'b', body), 'mopl:chat:' .. room\n"
    "call('RPUSH', lines, num(pos) .. ' ' .. body)\n"
    "call('LTRIM', lines, -50, -1)\n"
    "call('EXPIRE', lines, 86400)\n"
    "return {'ok'}\n",
    ""};

struct redis_link_script presence_history = {
    "return {redis.call('GET', 'mopl:w:position') or '0', redis.call('LRANGE', 'mopl:chat:' .. ARGV[1], 0, -1)}\n", ""};

/* People of a bridge whose lease has run out have had their time; those of one that ended otherwise have it until it is due. */
struct redis_link_script presence_sweep = {
    CLOCK TELL LEAVE RELEASE
    "local owner = call('GET', K .. 'sweeper')\n"
    "if owner and owner ~= ARGV[1] then return {0} end\n"
    "call('SET', K .. 'sweeper', ARGV[1], 'PX', ARGV[2])\n"
    "local function due(key, count) return call('ZRANGEBYSCORE', K .. key, '-inf', ms, 'LIMIT', 0, count) end\n"
    "local gone = due('grace', 200)\n"
    "for _, user in ipairs(gone) do release(user, 'lost') end\n"
    "for _, b in ipairs(due('bridges', 100)) do\n"
    "  call('ZREM', K .. 'bridges', b)\n"
    "  call('ZADD', K .. 'ended', ms, b)\n"
    "end\n"
    "local more, b = #gone == 200, due('ended', 1)[1]\n"
    "if b then\n"
    "  local users = call('SPOP', K .. 'bridge:' .. b, 200)\n"
    "  if #users == 0 then call('ZREM', K .. 'ended', b) end\n"
    "  for _, user in ipairs(users) do\n"
    "    call('HDEL', K .. 'user:' .. user, 'b:' .. b)\n"
    "    release(user, 'lost')\n"
    "  end\n"
    "  more = true\n"
    "end\n"
    "local rooms, epoch = {}, call('GET', K .. 'epoch')\n"
    "if epoch and ms - tonumber(epoch:match('^%d+')) >= tonumber(ARGV[3]) then\n"
    "  if ARGV[4] == '1' then call('SUNIONSTORE', K .. 'dirty', K .. 'dirty', K .. 'rooms') end\n"
    "  for _, room in ipairs(call('SRANDMEMBER', K .. 'dirty', ARGV[5])) do\n"
    "    rooms[#rooms + 1] = room\n"
    "    rooms[#rooms + 1] = call('ZCARD', K .. 'room:' .. room)\n"
    "  end\n"
    "end\n"
    "local started = call('ZRANGEBYSCORE', K .. 'started', '-inf', '+inf', 'LIMIT', 0, ARGV[6])\n"
    "return {1, owner and 0 or 1, more and 1 or 0, rooms, started}\n",
    ""};

/* The people of a room of more than 500 are not each told of each other's leaving: that would be millions of messages about a page
 * that is no more. */
struct redis_link_script presence_settle = {
    CLOCK TELL LEAVE "for room, n in ARGV[1]:gmatch('(%S+) (%d+)') do\n"
                     "  local same = call('ZCARD', K .. 'room:' .. room) == tonumber(n)\n"
                     "  call(same and 'SREM' or 'SADD', K .. 'dirty', room)\n"
                     "end\n"
                     "for started in ARGV[2]:gmatch('[^\\n]+') do call('ZREM', K .. 'started', started) end\n"
                     "for room in ARGV[3]:gmatch('%S+') do\n"
                     "  local key = K .. 'room:' .. room\n"
                     "  local quiet = call('ZCARD', key) > 500\n"
                     "  for _, member in ipairs(call('ZRANGE', key, 0, 499)) do leave(member:sub(37), 'ended', quiet) end\n"
                     "  call('DEL', 'mopl:chat:' .. room)\n"
                     "  if call('ZCARD', key) == 0 then call('SREM', K .. 'dirty', room) end\n"
                     "end\n"
                     "return {'ok'}\n",
    ""};

struct redis_link_script presence_mark = {
    "for room in ARGV[1]:gmatch('%S+') do redis.call('SADD', 'mopl:w:dirty', room) end return {'ok'}\n", ""};
