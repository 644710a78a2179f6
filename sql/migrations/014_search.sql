-- A keyword is its words, each of which must occur; titles are found without their blanks and by their initial consonants; and what the
-- search engine has still to be told.

-- Without white space, each Hangul syllable as its leading consonant, and a cluster, as which two of them may have been typed, as
-- the two.
CREATE FUNCTION mopl_initials(folded text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    packed text := regexp_replace(folded, '\s', '', 'g') COLLATE "C";
    clusters constant text[] := ARRAY[E'\u11AA', E'\u1100\u1109', E'\u11AC', E'\u1102\u110C', E'\u11AD', E'\u1102\u1112',
        E'\u11B0', E'\u1105\u1100', E'\u11B1', E'\u1105\u1106', E'\u11B2', E'\u1105\u1107', E'\u11B3', E'\u1105\u1109',
        E'\u11B4', E'\u1105\u1110', E'\u11B5', E'\u1105\u1111', E'\u111A', E'\u1105\u1112', E'\u1121', E'\u1107\u1109'];
BEGIN
    IF packed ~ '[\u11AA-\u11B5\u111A\u1121]' THEN
        FOR i IN 1 .. array_length(clusters, 1) BY 2 LOOP
            packed := replace(packed, clusters[i], clusters[i + 1]);
        END LOOP;
    END IF;
    RETURN (SELECT string_agg(CASE WHEN c BETWEEN U&'\AC00' AND U&'\D7A3' THEN chr(4352 + (ascii(c) - 44032) / 588) ELSE c END, '' ORDER BY n)
            FROM unnest(string_to_array(packed, NULL)) WITH ORDINALITY AS u(c, n)) COLLATE "C";
END $$;

-- True if it holds leading consonants and no syllable: then it is looked for among initials.
CREATE FUNCTION mopl_is_initials(folded text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN folded ~ '[\u1100-\u1112\u11AA\u11AC\u11AD\u11B0-\u11B5\u111A\u1121]' AND folded !~ '[\uAC00-\uD7A3]';

-- What a folded keyword asks for: its words (of more than eight the eighth is the rest), or one word of initials.
CREATE FUNCTION mopl_words(folded text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    words text[];
BEGIN
    IF mopl_is_initials(folded) THEN
        RETURN ARRAY[mopl_initials(folded)];
    END IF;
    words := array_remove(regexp_split_to_array(folded, '\s+'), '');
    IF cardinality(words) > 8 THEN
        words := words[1:7] || (regexp_match(folded, '^\s*(?:\S+\s+){7}(\S.*?)\s*$'))[1];
    END IF;
    RETURN words;
END $$;

-- The n-grams that a text must have to hold all of them.
CREATE FUNCTION mopl_keyword_grams(keyword text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN mopl_query_grams(array_to_string(mopl_words(mopl_fold(keyword)), ' '));

-- And patterns for LIKE ALL: none if the n-grams say everything already.
CREATE FUNCTION mopl_keyword_patterns(keyword text) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    words text[] := mopl_words(mopl_fold(keyword));
BEGIN
    IF cardinality(words) = 1 AND mopl_is_gram(words[1]) THEN
        RETURN '{}';
    END IF;
    RETURN ARRAY(SELECT '%' || regexp_replace(word, '([\\%_])', '\\\1', 'g') || '%' COLLATE "C" FROM unnest(words) AS u(word));
END $$;

-- How well a folded keyword fits: a thousand for the way, and more for a shorter title. The title is the text's first line.
-- 6 the title is the keyword · 5 it has it as whole words · 4 at the beginning of a word · 3 all words are in it · 0 only elsewhere
CREATE FUNCTION mopl_relevance(doc text, folded text) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    title text := split_part(doc, E'\n', 1);
    packed text := regexp_replace(title, '\s', '', 'g');
    packed_keyword text := regexp_replace(folded, '\s', '', 'g');
    plain text;
    plain_keyword text;
    way integer := 0;
BEGIN
    IF packed = packed_keyword THEN
        way := 6;
    ELSIF mopl_is_initials(folded) THEN
        IF strpos(mopl_initials(title), mopl_initials(folded)) > 0 THEN way := 3; END IF;
    ELSIF strpos(title, folded) > 0 THEN
        plain := ' ' || regexp_replace(title COLLATE "und-x-icu", '[^[:alnum:]]+', ' ', 'g') || ' ';
        plain_keyword := ' ' || btrim(regexp_replace(folded COLLATE "und-x-icu", '[^[:alnum:]]+', ' ', 'g'));
        way := CASE WHEN strpos(plain, plain_keyword || ' ') > 0 THEN 5 WHEN strpos(plain, plain_keyword) > 0 THEN 4 ELSE 3 END;
    ELSIF strpos(packed, packed_keyword) > 0 OR title LIKE ALL (mopl_keyword_patterns(folded)) AND strpos(title, (mopl_words(folded))[1]) > 0 THEN
        way := 3;
    END IF;
    RETURN way * 1000 + 999 - least(char_length(title), 999);
END $$;

-- What is added to the text for its title alone: the title without blanks, and its initials.
CREATE FUNCTION mopl_title_forms(folded text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN CASE WHEN folded ~ '\s' THEN E'\n' || regexp_replace(folded, '\s', '', 'g') ELSE '' END
       || CASE WHEN folded ~ '[\uAC00-\uD7A3]' THEN E'\n' || mopl_initials(folded) ELSE '' END;

CREATE OR REPLACE FUNCTION mopl_content_doc(title text, description text, tags text[]) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN mopl_fold(title || E'\n' || description || E'\n' || array_to_string(tags, E'\n')) || mopl_title_forms(mopl_fold(title));

CREATE FUNCTION mopl_playlist_doc(title text, description text) RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
RETURN mopl_fold(title || E'\n' || description) || mopl_title_forms(mopl_fold(title));

CREATE OR REPLACE FUNCTION playlists_inserted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO playlist_search (playlist_id, doc) SELECT id, mopl_playlist_doc(title, description) FROM new_rows;
    PERFORM 1 FROM users WHERE id IN (SELECT owner_id FROM new_rows) ORDER BY id FOR NO KEY UPDATE;
    UPDATE users u SET playlist_count = playlist_count + d.n
    FROM (SELECT owner_id, count(*) AS n FROM new_rows GROUP BY owner_id) d WHERE u.id = d.owner_id;
    INSERT INTO counters AS k SELECT 'playlists', mopl_shard(), count(*) FROM new_rows
    ON CONFLICT (name, shard) DO UPDATE SET n = k.n + excluded.n;
    RETURN NULL;
END $$;

CREATE OR REPLACE FUNCTION playlists_text_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE playlist_search SET doc = mopl_playlist_doc(NEW.title, NEW.description) WHERE playlist_id = NEW.id;
    RETURN NULL;
END $$;

-- Rows that are there already. Without the n-gram indices, which are quicker to make anew than to follow.
DROP INDEX content_search_grams;
DROP INDEX playlist_search_grams;
UPDATE content_search s SET doc = mopl_content_doc(c.title, c.description, c.tags) FROM contents c WHERE c.id = s.content_id;
UPDATE playlist_search s SET doc = mopl_playlist_doc(p.title, p.description) FROM playlists p WHERE p.id = s.playlist_id;
CREATE INDEX content_search_grams ON content_search USING gin (mopl_grams(doc)) WITH (gin_pending_list_limit = 512);
CREATE INDEX playlist_search_grams ON playlist_search USING gin (mopl_grams(doc)) WITH (gin_pending_list_limit = 512);

-- What the indexer has been told of and the search engine not yet. A row that is told of again meanwhile gets another number, so that
-- whoever wrote the former state does not remove it.
CREATE TABLE search_pending (
    kind text COLLATE "C" NOT NULL CONSTRAINT search_pending_kind CHECK (kind IN ('contents', 'playlists')),
    id   uuid NOT NULL,
    n    bigint GENERATED ALWAYS AS IDENTITY,
    PRIMARY KEY (kind, id)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
CREATE INDEX search_pending_in_order ON search_pending (kind, n);

-- Indices being built: whoever sees one here writes into it, too.
CREATE TABLE search_builds (
    kind       text COLLATE "C" PRIMARY KEY CONSTRAINT search_builds_kind CHECK (kind IN ('contents', 'playlists')),
    index_name text COLLATE "C" NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
