-- Fills a database that holds nothing but the imported catalogue and an administrator with data of any size, made of the real titles:
--   psql -v users=N -v contents=N -v reviews=N -v playlists=N -v tags=N (most tags of a content) -f data.sql
-- Set-based and without triggers: what these would have kept (counts, sums, totals, search tables) is written along. The same numbers
-- give the same rows. Indexes are left unbuilt: index.sql.
\set ON_ERROR_STOP on
SET session_replication_role = replica;
SET work_mem = '256MB';

CREATE SCHEMA bench;

-- When the n-th of `count` was made, all of them within a year, and its id as the programs make them: time first.
CREATE FUNCTION bench.at(n bigint, count bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE
RETURN timestamptz '2025-01-01 00:00:00Z' + n * (interval '365 days' / count);
CREATE FUNCTION bench.id(kind text, n bigint, count bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN (lpad(to_hex(1735689600000 + n * 31536000000 / count), 12, '0')
        || overlay(overlay(right(md5(kind || n::text), 20) PLACING '7' FROM 1) PLACING '8' FROM 5))::uuid;
-- A number below `count` that looks drawn by lot.
CREATE FUNCTION bench.lot(n bigint, count bigint) RETURNS bigint LANGUAGE sql IMMUTABLE
RETURN (hashint8(n) & 2147483647) % count;

-- The catalogue, folded once. A film in eight is made a series, so that there are all three types; everything has three tags or more.
CREATE TABLE bench.titles AS
SELECT row_number() OVER (ORDER BY created_at, id) - 1 AS n, left(title, 240) AS title, description,
       CASE WHEN type = 'movie' AND hashtext(title) % 8 = 0 THEN 'tvSeries' ELSE type END AS type,
       (tags || (ARRAY['Classic', 'Favourite', 'Rare'])[cardinality(tags) + 1:])[1:(:tags)] AS tags
FROM contents;
ALTER TABLE bench.titles ADD title_folded text, ADD rest_folded text, ADD tags_folded text[];
UPDATE bench.titles
SET title_folded = mopl_fold(title), rest_folded = mopl_fold(E'\n' || description || E'\n' || array_to_string(tags, E'\n')),
    tags_folded = mopl_fold_all(tags);
ALTER TABLE bench.titles ADD PRIMARY KEY (n);

-- Each further round through the catalogue numbers the titles: "Titanic 2".
CREATE TABLE bench.rounds AS
SELECT r, coalesce(' ' || nullif(r, 0) + 1, '') AS suffix
FROM generate_series(0, greatest(:contents, :playlists) / (SELECT count(*) FROM bench.titles)) AS r;
ALTER TABLE bench.rounds ADD PRIMARY KEY (r);

-- How playlists are called.
CREATE TABLE bench.moods AS
SELECT row_number() OVER () - 1 AS n, mood, description, mopl_fold(mood) AS mood_folded, mopl_fold(E'\n' || description) AS rest_folded
FROM (VALUES ('주말에 볼', '토요일 밤에 하나씩 봅니다.'), ('다시 보고 싶은', '몇 번을 봐도 좋은 것들.'), ('비 오는 날의', '창밖을 보다가 고른 목록입니다.'),
             ('가족과 함께', '아이들과 봐도 괜찮아요.'), ('올해의', '올해 본 것 가운데 골랐어요.'), ('잠 못 드는 밤', '조용하고 긴 이야기들.'),
             ('친구에게 권하는', '실패한 적이 없는 추천.')) AS m(mood, description);
ANALYZE bench.titles, bench.rounds, bench.moods;
SELECT count(*) AS titles FROM bench.titles \gset
SELECT count(*) AS moods FROM bench.moods \gset

BEGIN;
CREATE TEMP TABLE administrator AS SELECT * FROM users;
TRUNCATE contents, users CASCADE;
UPDATE pg_index SET indisready = false WHERE indrelid IN (
    'users'::regclass, 'contents'::regclass, 'content_search'::regclass, 'reviews'::regclass, 'playlists'::regclass, 'playlist_contents'::regclass,
    'playlist_subscriptions'::regclass, 'playlist_search'::regclass, 'follows'::regclass, 'notifications'::regclass);

-- The first content has a review of everybody; the others' favour some contents. Neighbours in time are rarely of one content, so the reviews
-- of one lie apart, as they do in life.
\set each :reviews / :users
\set others :reviews - :users
WITH numbered AS (
    SELECT s, s % (:each) = 0 AS of_first, s / (:each) AS nth, (s - s / (:each) - 1) * 15485863 % (:others) AS j
    FROM generate_series(0::bigint, :reviews - 1) AS s
)
INSERT INTO reviews (id, created_at, updated_at, content_id, author_id, rating, text)
SELECT bench.id('review', s, :reviews), bench.at(s, :reviews), bench.at(s, :reviews),
       bench.id('content', CASE WHEN of_first THEN 0 ELSE 1 + floor((:contents - 1) * power(j::float8 / (:others), 2.5))::bigint * 611953 % (:contents - 1) END,
                :contents),
       bench.id('user', CASE WHEN of_first THEN nth ELSE j * 7919 % :users END, :users),
       bench.lot(s, 11) / 2.0,
       (ARRAY['처음부터 끝까지 눈을 뗄 수 없었어요.', '기대보다 훨씬 좋았습니다.', '음악이 오래 남네요.', '조금 길게 느껴졌어요.', '배우들의 연기가 인상적입니다.'])[1 + s % 5] || ' ' ||
       (ARRAY['주말 저녁에 보기 좋아요.', '다시 보고 싶습니다.', '친구에게 권하고 싶어요.', '한 번이면 충분해요.', '결말이 아쉬웠어요.', '가족과 함께 보세요.'])[1 + s / 5 % 6]
FROM numbered;

-- The newest are the same titles in a set of any size, so that pages compare.
INSERT INTO contents (id, created_at, updated_at, review_count, rating_sum, watcher_count, type, title, description, tags)
SELECT bench.id('content', i, :contents), bench.at(i, :contents), bench.at(i, :contents), coalesce(v.n, 0), coalesce(v.total, 0),
       greatest(0, bench.lot(i, 200) - 150), t.type, t.title || r.suffix, t.description, t.tags
FROM generate_series(0::bigint, :contents - 1) AS i
JOIN bench.titles t ON t.n = (:contents - 1 - i) % :titles
JOIN bench.rounds r ON r.r = i / :titles
LEFT JOIN (SELECT content_id, count(*) AS n, sum(rating::numeric) AS total FROM reviews GROUP BY content_id) v
    ON v.content_id = bench.id('content', i, :contents)
ORDER BY i;

INSERT INTO content_search (content_id, type, created_at, doc, tags)
SELECT bench.id('content', i, :contents), t.type, bench.at(i, :contents), t.title_folded || r.suffix || t.rest_folded || mopl_title_forms(t.title_folded || r.suffix),
       t.tags_folded
FROM generate_series(0::bigint, :contents - 1) AS i
JOIN bench.titles t ON t.n = (:contents - 1 - i) % :titles
JOIN bench.rounds r ON r.r = i / :titles
ORDER BY i;

INSERT INTO playlists (id, created_at, updated_at, owner_id, content_count, title, description)
SELECT bench.id('playlist', i, :playlists), bench.at(i, :playlists), bench.at(i, :playlists), bench.id('user', bench.lot(i, :users), :users), i % 7,
       m.mood || ' ' || t.title || r.suffix, m.description
FROM generate_series(0::bigint, :playlists - 1) AS i
JOIN bench.titles t ON t.n = (:playlists - 1 - i) % :titles
JOIN bench.rounds r ON r.r = i / :titles
JOIN bench.moods m ON m.n = i % :moods
ORDER BY i;

INSERT INTO playlist_search (playlist_id, doc)
SELECT bench.id('playlist', i, :playlists), m.mood_folded || ' ' || t.title_folded || r.suffix || m.rest_folded
       || mopl_title_forms(m.mood_folded || ' ' || t.title_folded || r.suffix)
FROM generate_series(0::bigint, :playlists - 1) AS i
JOIN bench.titles t ON t.n = (:playlists - 1 - i) % :titles
JOIN bench.rounds r ON r.r = i / :titles
JOIN bench.moods m ON m.n = i % :moods
ORDER BY i;

INSERT INTO playlist_contents (playlist_id, content_id, added_at)
SELECT bench.id('playlist', i, :playlists), bench.id('content', (bench.lot(i, :contents) + k * 611953) % :contents, :contents),
       bench.at(i, :playlists) + k * interval '1 second'
FROM generate_series(0::bigint, :playlists - 1) AS i, generate_series(1, i % 7) AS k;

-- As many subscriptions as playlists; some playlists have most of them.
INSERT INTO playlist_subscriptions (user_id, playlist_id, created_at)
SELECT bench.id('user', j * 7919 % :users, :users),
       bench.id('playlist', floor(:playlists * power(j::float8 / :playlists, 3))::bigint * 611953 % :playlists, :playlists), bench.at(j, :playlists)
FROM generate_series(0::bigint, :playlists - 1) AS j;
UPDATE playlists p SET subscriber_count = s.n
FROM (SELECT playlist_id, count(*) AS n FROM playlist_subscriptions GROUP BY playlist_id) s WHERE p.id = s.playlist_id;

INSERT INTO follows (id, created_at, follower_id, followee_id)
SELECT bench.id('follow', i, :users), bench.at(i, :users), bench.id('user', i, :users), bench.id('user', (i * 7919 + 1) % :users, :users)
FROM generate_series(0::bigint, :users - 1) AS i WHERE i <> (i * 7919 + 1) % :users;

-- One for each user, and one in ten also for the administrator.
INSERT INTO notifications (id, created_at, receiver_id, event_id, type, resource_id, title, content)
SELECT bench.id('notification' || receiver, i, :users), bench.at(i, :users), receiver, bench.id('event', i, :users), 'USER', bench.id('user', i, :users),
       '새 팔로워', '사람 ' || i || '님이 회원님을 팔로우하기 시작했어요.'
FROM generate_series(0::bigint, :users - 1) AS i,
     LATERAL (SELECT bench.id('user', i, :users) UNION ALL SELECT id FROM administrator WHERE i % 10 = 0) AS r(receiver);

INSERT INTO users SELECT * FROM administrator;
INSERT INTO users (id, created_at, updated_at, email, name)
SELECT bench.id('user', i, :users), bench.at(i, :users), bench.at(i, :users), 'person' || i || '@bench.example', '사람 ' || i
FROM generate_series(0::bigint, :users - 1) AS i;
UPDATE users u SET review_count = coalesce(v.n, 0), playlist_count = coalesce(p.n, 0), subscription_count = coalesce(s.n, 0),
    follower_count = coalesce(f.n, 0), following_count = coalesce(g.n, 0), unread_notification_count = coalesce(o.n, 0)
FROM users e
LEFT JOIN (SELECT author_id AS id, count(*) AS n FROM reviews GROUP BY 1) v USING (id)
LEFT JOIN (SELECT owner_id AS id, count(*) AS n FROM playlists GROUP BY 1) p USING (id)
LEFT JOIN (SELECT user_id AS id, count(*) AS n FROM playlist_subscriptions GROUP BY 1) s USING (id)
LEFT JOIN (SELECT followee_id AS id, count(*) AS n FROM follows GROUP BY 1) f USING (id)
LEFT JOIN (SELECT follower_id AS id, count(*) AS n FROM follows GROUP BY 1) g USING (id)
LEFT JOIN (SELECT receiver_id AS id, count(*) AS n FROM notifications GROUP BY 1) o USING (id)
WHERE u.id = e.id;

DELETE FROM counters;
INSERT INTO counters SELECT 'contents:' || type, 0, count(*) FROM contents GROUP BY type;
INSERT INTO counters SELECT 'users:' || role || ':open', 0, count(*) FROM users GROUP BY role;
INSERT INTO counters SELECT 'playlists', n % 8, count(*) FROM generate_series(1, :playlists) AS n GROUP BY n % 8;
COMMIT;
DROP SCHEMA bench CASCADE;
