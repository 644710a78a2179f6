-- Rows for every table of the schema as the first release had it (001 to 010), made with that schema alone.
\set ON_ERROR_STOP on
CREATE FUNCTION pg_temp.id(kind text, n bigint) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN ('0190' || lpad(to_hex(ascii(kind)), 4, '0') || '-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid;

BEGIN;
INSERT INTO users (id, email, name, role, locked, image_key, password_hash, created_at)
SELECT pg_temp.id('u', n), 'old' || n || '@old.example', CASE n % 3 WHEN 0 THEN '옛사람' ELSE 'Old ' END || n, CASE n WHEN 1 THEN 'ADMIN' ELSE 'USER' END,
       n = 40, CASE WHEN n % 10 = 0 THEN 'profiles/aa/' || n || '.png' END,
       'v1:$2b$10$21ANVTyi6si8Id.kpCE9T.bgwIm07fu0zKnC96.C97Dn89AXVuTvG', -- password-of-old
       '2025-03-01T00:00:00Z'::timestamptz + n * interval '1 hour' FROM generate_series(1, 40) n;
INSERT INTO sessions (id, user_id, created_at, expires_at, ended_at, end_reason, user_agent, address)
SELECT pg_temp.id('s', n), pg_temp.id('u', n), now() - interval '1 day', now() + interval '6 days',
       CASE WHEN n % 5 = 0 THEN now() - interval '1 hour' END, CASE WHEN n % 5 = 0 THEN 'sign-out' END, 'Browser ' || n, '192.0.2.' || n
FROM generate_series(1, 40) n;
INSERT INTO refresh_tokens (token_hash, session_id, issued_at) -- of the token of 32 bytes that says n
SELECT sha256(convert_to(lpad(n::text, 32, '.'), 'UTF8')), pg_temp.id('s', n), now() - interval '1 day' FROM generate_series(1, 40) n;
INSERT INTO social_accounts (provider, subject, user_id, email)
SELECT CASE n % 2 WHEN 0 THEN 'google' ELSE 'kakao' END, 'subject-' || n, pg_temp.id('u', n), 'old' || n || '@old.example' FROM generate_series(1, 10) n;
INSERT INTO audit_log (at, actor_id, action, subject_id, details)
SELECT now() - n * interval '1 hour', pg_temp.id('u', 1), 'user-locked', pg_temp.id('u', 40), jsonb_build_object('n', n) FROM generate_series(1, 30) n;

INSERT INTO contents (id, type, title, description, tags, thumbnail_key, source, source_id, source_hash, edited_fields, watcher_count, created_at)
SELECT pg_temp.id('c', n), (ARRAY['movie', 'tvSeries', 'sport'])[1 + n % 3],
       CASE WHEN n % 50 = 0 THEN '해리 포터와 ' || n || '번째 방' ELSE 'Content ' || n END, 'Described as ' || n, ARRAY['tag' || n % 7, '태그' || n % 3],
       CASE WHEN n % 4 = 0 THEN 'contents/aa/' || n || '.png' END, CASE WHEN n % 2 = 0 THEN 'tmdb' END, CASE WHEN n % 2 = 0 THEN n::text END,
       CASE WHEN n % 2 = 0 THEN sha256(n::text::bytea) END, CASE WHEN n % 10 = 0 THEN ARRAY['title'] ELSE '{}'::text[] END, 0,
       '2025-04-01T00:00:00Z'::timestamptz + n * interval '1 minute' FROM generate_series(1, 300) n;
INSERT INTO reviews (id, content_id, author_id, rating, text, created_at)
SELECT pg_temp.id('r', c * 100 + u), pg_temp.id('c', c), pg_temp.id('u', u), ((c + u) % 11) / 2.0, 'Review of ' || c || ' by ' || u, now() - (c + u) * interval '1 minute'
FROM generate_series(1, 60) c, generate_series(1, 20) u;
INSERT INTO playlists (id, owner_id, title, description, updated_at)
SELECT pg_temp.id('p', n), pg_temp.id('u', 1 + n % 30), CASE n % 5 WHEN 0 THEN '주말 목록 ' ELSE 'List ' END || n, 'Slowly ' || n, now() - n * interval '1 minute' FROM generate_series(1, 80) n;
INSERT INTO playlist_contents (playlist_id, content_id) SELECT pg_temp.id('p', p), pg_temp.id('c', p + c) FROM generate_series(1, 80) p, generate_series(1, 12) c;
INSERT INTO playlist_subscriptions (user_id, playlist_id) SELECT pg_temp.id('u', u), pg_temp.id('p', p) FROM generate_series(1, 20) u, generate_series(30, 60) p;
INSERT INTO follows (id, follower_id, followee_id)
SELECT pg_temp.id('f', a * 100 + b), pg_temp.id('u', a), pg_temp.id('u', b) FROM generate_series(1, 30) a, generate_series(1, 8) b WHERE a <> b;

INSERT INTO conversations (id, low_id, high_id) SELECT pg_temp.id('v', n), pg_temp.id('u', 1), pg_temp.id('u', n) FROM generate_series(2, 15) n;
INSERT INTO conversation_members (user_id, conversation_id, other_id, active_at)
SELECT pg_temp.id('u', 1), pg_temp.id('v', n), pg_temp.id('u', n), now() - interval '1 day' FROM generate_series(2, 15) n
UNION ALL SELECT pg_temp.id('u', n), pg_temp.id('v', n), pg_temp.id('u', 1), now() - interval '1 day' FROM generate_series(2, 15) n;
DO $$ BEGIN
    FOR n IN 2 .. 15 LOOP
        FOR m IN 1 .. 20 LOOP
            PERFORM mopl_send_direct_message(pg_temp.id('m', n * 100 + m), pg_temp.id('v', n), pg_temp.id('u', CASE m % 2 WHEN 0 THEN 1 ELSE n END),
                                             'Message ' || m || ' of ' || n);
        END LOOP;
        PERFORM mopl_read_direct_message(pg_temp.id('v', n), pg_temp.id('m', n * 100 + 9), pg_temp.id('u', 1));
    END LOOP;
END $$;
DELETE FROM outbox; -- what the messages wrote; the events of this database follow
INSERT INTO notifications (id, receiver_id, event_id, type, resource_id, title, content, created_at, read_at)
SELECT pg_temp.id('n', n), pg_temp.id('u', 1 + n % 20), pg_temp.id('e', n), 'USER', pg_temp.id('u', 2), 'Told ' || n, 'Something', now() - n * interval '1 minute',
       CASE WHEN n % 4 = 0 THEN now() END FROM generate_series(1, 200) n;
INSERT INTO fanouts (event_id, finished_at, audience, audience_of, actor_id, type, resource_id, title, content)
SELECT pg_temp.id('e', n), now() - interval '1 hour', 'user', pg_temp.id('u', 1), pg_temp.id('u', 2), 'USER', pg_temp.id('u', 2), 'T', 'C' FROM generate_series(1, 10) n;
INSERT INTO watching_notices (user_id, content_id, noticed_at) SELECT pg_temp.id('u', n), pg_temp.id('c', n), now() FROM generate_series(1, 10) n;

-- 1 to 90 are published and consumed, 91 to 95 published, 96 to 100 not even seen by the relay: follows of the first person.
INSERT INTO outbox (event_id, topic, key, type, payload, position)
SELECT pg_temp.id('o', n), 'mopl.domain-events', pg_temp.id('u', n - 88)::text, 'follow.created',
       jsonb_build_object('userId', pg_temp.id('u', n - 88), 'followId', pg_temp.id('f', (n - 88) * 100 + 1), 'followeeId', pg_temp.id('u', 1)),
       CASE WHEN n <= 95 THEN n END FROM generate_series(91, 100) n;
INSERT INTO outbox (event_id, topic, key, type, payload, position)
SELECT pg_temp.id('o', n), 'mopl.domain-events', pg_temp.id('u', 1)::text, 'review.created',
       jsonb_build_object('userId', pg_temp.id('u', 1), 'reviewId', pg_temp.id('r', 101), 'contentId', pg_temp.id('c', 1)), n FROM generate_series(1, 90) n;
UPDATE outbox_progress SET sequenced = 95, published = 95;
INSERT INTO bus_offsets VALUES ('notifier', 'mopl.domain-events', 90);
INSERT INTO user_events (position, user_id, event_id, name, payload)
SELECT n, pg_temp.id('u', 2), pg_temp.id('e', n), 'notifications', jsonb_build_object('id', pg_temp.id('n', n), 'n', n) FROM generate_series(11, 60) n;

INSERT INTO job_runs (job, started_at, finished_at, status, counts, error)
SELECT 'purge-outbox', now() - n * interval '1 day', now() - n * interval '1 day', CASE n % 7 WHEN 0 THEN 'failed' ELSE 'succeeded' END, '{"rows": 1}', NULL
FROM generate_series(1, 20) n;
INSERT INTO job_checkpoints (job, position) VALUES ('import-catalogue', '{"page": 3}');
COMMIT;
