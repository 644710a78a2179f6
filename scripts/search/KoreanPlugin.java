import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.Tokenizer;
import org.apache.lucene.analysis.core.KeywordTokenizer;
import org.apache.lucene.analysis.ko.KoreanPartOfSpeechStopFilter;
import org.apache.lucene.analysis.ko.KoreanReadingFormFilter;
import org.apache.lucene.analysis.ko.KoreanTokenizer;
import org.apache.lucene.analysis.ko.POS;
import org.apache.lucene.analysis.ngram.EdgeNGramTokenFilter;
import org.apache.lucene.analysis.ngram.NGramTokenizer;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.index.analysis.AbstractTokenFilterFactory;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.index.analysis.TokenizerFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.plugins.AnalysisPlugin;
import org.elasticsearch.plugins.Plugin;

/**
 * What MOPL's indices use of analysis-nori and analysis-common, which Maven Central does not have, under the same names and with the
 * same settings: Lucene does the work in both.
 */
public final class KoreanPlugin extends Plugin implements AnalysisPlugin {
    private static Tokenizer korean(Settings settings) {
        String mode = settings.get("decompound_mode", "discard").toUpperCase(Locale.ROOT);
        return new KoreanTokenizer(KoreanTokenizer.DEFAULT_TOKEN_ATTRIBUTE_FACTORY, null, KoreanTokenizer.DecompoundMode.valueOf(mode),
            settings.getAsBoolean("output_unknown_unigrams", false), settings.getAsBoolean("discard_punctuation", true));
    }

    private static Tokenizer grams(Settings settings) {
        return new NGramTokenizer(settings.getAsInt("min_gram", 1), settings.getAsInt("max_gram", 2));
    }

    private static Set<POS.Tag> stopTags(Settings settings) {
        if (!settings.hasValue("stoptags")) return KoreanPartOfSpeechStopFilter.DEFAULT_STOP_TAGS;
        return settings.getAsList("stoptags").stream().map(POS::resolveTag).collect(Collectors.toUnmodifiableSet());
    }

    private static TokenFilterFactory filter(String name, Settings settings, UnaryOperator<TokenStream> filter) {
        return new AbstractTokenFilterFactory(name, settings) {
            @Override
            public TokenStream create(TokenStream input) {
                return filter.apply(input);
            }
        };
    }

    @Override
    public Map<String, AnalysisProvider<TokenizerFactory>> getTokenizers() {
        return Map.of(
            "nori_tokenizer", (index, environment, name, settings) -> TokenizerFactory.newFactory(name, () -> korean(settings)),
            "keyword", (index, environment, name, settings) -> TokenizerFactory.newFactory(name, KeywordTokenizer::new),
            "ngram", (index, environment, name, settings) -> TokenizerFactory.newFactory(name, () -> grams(settings)));
    }

    @Override
    public Map<String, AnalysisProvider<TokenFilterFactory>> getTokenFilters() {
        return Map.of(
            "nori_part_of_speech", (index, environment, name, settings) -> {
                Set<POS.Tag> tags = stopTags(settings);
                return filter(name, settings, input -> new KoreanPartOfSpeechStopFilter(input, tags));
            },
            "nori_readingform", (index, environment, name, settings) -> filter(name, settings, KoreanReadingFormFilter::new),
            "edge_ngram", (index, environment, name, settings) -> {
                int min = settings.getAsInt("min_gram", 1), max = settings.getAsInt("max_gram", 2);
                return filter(name, settings, input -> new EdgeNGramTokenFilter(input, min, max, false));
            });
    }
}
