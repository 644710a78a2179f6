-- Text folding and n-grams for keyword search, and the counters that lists take their totals from.

-- What makes a search case- and width-insensitive: full-width and half-width forms, ligatures and case become one.
CREATE FUNCTION mopl_fold(t text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN lower(normalize(t, NFKC) COLLATE "und-x-icu") COLLATE "C";

-- Characters and pairs of neighbouring characters of a folded text, each once, without those that hold white space.
-- Any text of one character or more that occurs in `folded` has all its own n-grams among these, Korean or not.
CREATE FUNCTION mopl_grams(folded text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT g.gram), '{}')
    FROM (SELECT c, lead(c) OVER (ORDER BY i) AS following
          FROM unnest(string_to_array(folded, NULL)) WITH ORDINALITY AS u(c, i)) AS pairs
    CROSS JOIN LATERAL (VALUES (c), (c || following)) AS g(gram)
    WHERE g.gram !~ '\s'
$$;

-- The fewest of those that a keyword needs: its pairs, and the characters that are in no pair.
CREATE FUNCTION mopl_query_grams(folded text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(DISTINCT CASE WHEN following !~ '\s' THEN c || following ELSE c END)
                    FILTER (WHERE c !~ '\s' AND (following !~ '\s' OR previous ~ '\s' IS NOT FALSE)), '{}')
    FROM (SELECT c, lead(c) OVER (ORDER BY i) AS following, lag(c) OVER (ORDER BY i) AS previous
          FROM unnest(string_to_array(folded, NULL)) WITH ORDINALITY AS u(c, i)) AS characters
$$;

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

CREATE FUNCTION mopl_total(counter text) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE
RETURN (SELECT coalesce(sum(n), 0)::bigint FROM counters WHERE name = counter);
