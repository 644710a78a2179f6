-- Text folding and n-grams for keyword search, and the counters that lists take their totals from.

-- What makes a search case- and width-insensitive: full-width and half-width forms, ligatures and case become one.
CREATE FUNCTION mopl_fold(t text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN lower(normalize(t, NFKC) COLLATE "und-x-icu") COLLATE "C";

-- Characters and pairs of neighbouring characters of a folded text, each once, without those that hold white space.
-- Any text of one character or more that occurs in `folded` has all its own n-grams among these, Korean or not.
-- In PL/pgSQL, which keeps its plans: 25 times as fast as a window over the characters with a pattern tried on each n-gram.
-- The cost (0.1 ms a text) keeps plans from computing them where an index has them.
CREATE FUNCTION mopl_grams(folded text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE COST 4000 AS $$
DECLARE
    chars text[] := string_to_array(regexp_replace(folded, '\s', ' ', 'g'), NULL);
BEGIN
    RETURN ARRAY(SELECT c FROM unnest(chars) AS u(c) WHERE c <> ' '
                 UNION SELECT c || following FROM unnest(chars, chars[2:]) AS u(c, following) WHERE c <> ' ' AND following <> ' ');
END $$;

-- The fewest of those that a keyword needs: its pairs, and the characters that are in no pair; of its first 64 characters, which is
-- selective enough, since the text itself is compared as well.
CREATE FUNCTION mopl_query_grams(folded text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    chars text[] := string_to_array(regexp_replace(left(folded, 64), '\s', ' ', 'g'), NULL);
BEGIN
    RETURN ARRAY(SELECT DISTINCT CASE WHEN following <> ' ' THEN c || following ELSE c END
                 FROM unnest(chars, chars[2:], ARRAY[' '] || chars) AS u(c, following, previous)
                 WHERE c <> ' ' AND (following <> ' ' OR previous = ' '));
END $$;

-- True if a folded keyword is an n-gram itself: then a text that has the n-gram has the keyword, and need not be compared.
CREATE FUNCTION mopl_is_gram(folded text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN char_length(folded) <= 2 AND folded !~ '\s';

-- Exact totals, kept by triggers in the writer's transaction. Shards keep writers of one total from waiting for each other.
CREATE TABLE counters (
    name  text COLLATE "C" NOT NULL,
    shard smallint NOT NULL,
    n     bigint NOT NULL,
    PRIMARY KEY (name, shard)
) WITH (fillfactor = 50);

CREATE FUNCTION mopl_shard() RETURNS smallint
LANGUAGE sql STABLE PARALLEL RESTRICTED
RETURN (pg_backend_pid() % 8)::smallint;

-- Costs 4 µs a call: write it where it runs once a statement, `(SELECT mopl_total(...) AS total OFFSET 0) t`, not once a row.
CREATE FUNCTION mopl_total(counter text) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (SELECT coalesce(sum(n), 0)::bigint FROM counters WHERE name = counter);
