-- Names what is counted wrongly, a line each with how many rows are wrong: one row, one text, empty if all is right. Every counter that the
-- schema keeps beside its rows is held against them, and the search tables against what they index.
WITH wrong (what, n) AS (
    SELECT 'users.review_count', count(*) FROM users u WHERE review_count <> (SELECT count(*) FROM reviews WHERE author_id = u.id)
    UNION ALL
    SELECT 'users.playlist_count', count(*) FROM users u WHERE playlist_count <> (SELECT count(*) FROM playlists WHERE owner_id = u.id)
    UNION ALL
    SELECT 'users.subscription_count', count(*) FROM users u
    WHERE subscription_count <> (SELECT count(*) FROM playlist_subscriptions WHERE user_id = u.id)
    UNION ALL
    SELECT 'users.follower_count', count(*) FROM users u WHERE follower_count <> (SELECT count(*) FROM follows WHERE followee_id = u.id)
    UNION ALL
    SELECT 'users.following_count', count(*) FROM users u WHERE following_count <> (SELECT count(*) FROM follows WHERE follower_id = u.id)
    UNION ALL
    SELECT 'users.conversation_count', count(*) FROM users u
    WHERE conversation_count <> (SELECT count(*) FROM conversation_members WHERE user_id = u.id)
    UNION ALL
    SELECT 'users.unread_notification_count', count(*) FROM users u
    WHERE unread_notification_count <> (SELECT count(*) FROM notifications WHERE receiver_id = u.id AND read_at IS NULL)
    UNION ALL
    SELECT 'contents.review_count', count(*) FROM contents c WHERE review_count <> (SELECT count(*) FROM reviews WHERE content_id = c.id)
    UNION ALL
    SELECT 'contents.rating_sum', count(*) FROM contents c
    WHERE rating_sum <> (SELECT coalesce(sum(rating::text::numeric), 0) FROM reviews WHERE content_id = c.id)
    UNION ALL
    SELECT 'contents.average_rating', count(*) FROM contents c
    WHERE abs(average_rating - (SELECT coalesce(avg(rating), 0) FROM reviews WHERE content_id = c.id)) > 1e-12
    UNION ALL
    SELECT 'playlists.subscriber_count', count(*) FROM playlists p
    WHERE subscriber_count <> (SELECT count(*) FROM playlist_subscriptions WHERE playlist_id = p.id)
    UNION ALL
    SELECT 'playlists.content_count', count(*) FROM playlists p
    WHERE content_count <> (SELECT count(*) FROM playlist_contents WHERE playlist_id = p.id)
    UNION ALL
    SELECT 'conversations.message_count', count(*) FROM conversations c
    WHERE message_count <> (SELECT count(*) FROM direct_messages WHERE conversation_id = c.id)
    UNION ALL
    SELECT 'counters', count(*) FROM (
        SELECT 'users:' || role || CASE WHEN locked THEN ':locked' ELSE ':open' END AS name, count(*) AS n FROM users GROUP BY 1
        UNION ALL SELECT 'contents:' || type, count(*) FROM contents GROUP BY 1
        UNION ALL SELECT 'playlists', count(*) FROM playlists
        UNION ALL SELECT 'reports:' || status, count(*) FROM reports GROUP BY 1
        UNION ALL SELECT 'audit', count(*) FROM audit_log
    ) rows FULL JOIN (SELECT name, sum(n) AS n FROM counters GROUP BY name) kept USING (name)
    WHERE coalesce(rows.n, 0) <> coalesce(kept.n, 0)
    UNION ALL
    SELECT 'content_search', (SELECT count(*) FROM contents) - (SELECT count(*) FROM content_search)
    UNION ALL
    SELECT 'playlist_search', (SELECT count(*) FROM playlists) - (SELECT count(*) FROM playlist_search)
)
SELECT coalesce(string_agg(what || ': ' || n, E'\n' ORDER BY what), '') FROM wrong WHERE n <> 0
