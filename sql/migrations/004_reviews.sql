-- Reviews; the count and the exact sum of ratings are kept in the content's row, the count in the author's.

CREATE TABLE reviews (
    id         uuid PRIMARY KEY,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    content_id uuid NOT NULL CONSTRAINT reviews_content REFERENCES contents ON DELETE CASCADE,
    author_id  uuid NOT NULL CONSTRAINT reviews_author REFERENCES users ON DELETE CASCADE,
    rating     double precision NOT NULL CONSTRAINT reviews_rating CHECK (rating BETWEEN 0 AND 5),
    text       text NOT NULL CONSTRAINT reviews_text_length CHECK (char_length(text) BETWEEN 1 AND 2000),
    CONSTRAINT reviews_once UNIQUE (content_id, author_id)
);
CREATE INDEX reviews_of_content_by_created ON reviews (content_id, created_at, id);
CREATE INDEX reviews_of_content_by_rating ON reviews (content_id, rating, id);
CREATE INDEX reviews_of_author_by_created ON reviews (author_id, created_at, id);
CREATE INDEX reviews_of_author_by_rating ON reviews (author_id, rating, id);

-- A double's shortest text is exact as a numeric; a direct cast would round to 15 digits. Rows are locked in the order of their ids,
-- contents before users, so that writers of several reviews cannot lock each other out.

CREATE FUNCTION reviews_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM contents WHERE id IN (SELECT content_id FROM new_rows) ORDER BY id FOR NO KEY UPDATE;
    UPDATE contents c SET review_count = review_count + d.n, rating_sum = rating_sum + d.total
    FROM (SELECT content_id, count(*) AS n, sum(rating::text::numeric) AS total FROM new_rows GROUP BY content_id) d
    WHERE c.id = d.content_id;
    PERFORM 1 FROM users WHERE id IN (SELECT author_id FROM new_rows) ORDER BY id FOR NO KEY UPDATE;
    UPDATE users u SET review_count = review_count + d.n
    FROM (SELECT author_id, count(*) AS n FROM new_rows GROUP BY author_id) d WHERE u.id = d.author_id;
    RETURN NULL;
END $$;
CREATE TRIGGER reviews_inserted AFTER INSERT ON reviews REFERENCING NEW TABLE AS new_rows
FOR EACH STATEMENT EXECUTE FUNCTION reviews_inserted();

CREATE FUNCTION reviews_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM 1 FROM contents WHERE id IN (SELECT content_id FROM old_rows) ORDER BY id FOR NO KEY UPDATE;
    UPDATE contents c SET review_count = review_count - d.n, rating_sum = rating_sum - d.total
    FROM (SELECT content_id, count(*) AS n, sum(rating::text::numeric) AS total FROM old_rows GROUP BY content_id) d
    WHERE c.id = d.content_id;
    PERFORM 1 FROM users WHERE id IN (SELECT author_id FROM old_rows) ORDER BY id FOR NO KEY UPDATE;
    UPDATE users u SET review_count = review_count - d.n
    FROM (SELECT author_id, count(*) AS n FROM old_rows GROUP BY author_id) d WHERE u.id = d.author_id;
    RETURN NULL;
END $$;
CREATE TRIGGER reviews_deleted AFTER DELETE ON reviews REFERENCING OLD TABLE AS old_rows
FOR EACH STATEMENT EXECUTE FUNCTION reviews_deleted();

CREATE FUNCTION reviews_rating_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE contents SET rating_sum = rating_sum - OLD.rating::text::numeric + NEW.rating::text::numeric WHERE id = NEW.content_id;
    RETURN NULL;
END $$;
CREATE TRIGGER reviews_rating_changed AFTER UPDATE OF rating ON reviews FOR EACH ROW
WHEN (OLD.rating IS DISTINCT FROM NEW.rating) EXECUTE FUNCTION reviews_rating_changed();
