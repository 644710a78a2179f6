-- The words of a keyword as patterns for LIKE ALL, whether n-grams say everything already or not: for rows that no n-gram index led to.
CREATE FUNCTION mopl_word_patterns(keyword text) RETURNS text[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT array_agg('%' || regexp_replace(word, '([\\%_])', '\\\1', 'g') || '%' COLLATE "C") FROM unnest(mopl_words(mopl_fold(keyword))) AS u(word)
$$;
