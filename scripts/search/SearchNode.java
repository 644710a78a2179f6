import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/** One Elasticsearch node on the loopback: SearchNode PROGRAMS FOLDER PORT. Ends cleanly on SIGTERM. */
public final class SearchNode {
    private static final CountDownLatch ended = new CountDownLatch(1);

    private static Environment environment(Path programs, Path folder, int port) {
        Settings settings = Settings.builder()
            .put("path.home", programs)
            .put("path.data", folder.resolve("data"))
            .put("path.logs", folder.resolve("logs"))
            .put("cluster.name", "mopl")
            .put("discovery.type", "single-node")
            .put("network.host", "127.0.0.1")
            .put("http.port", port)
            .put("transport.port", port + 1)
            // It shares its disk with everything else here, and its few processors.
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .put("node.processors", Math.min(2, Runtime.getRuntime().availableProcessors()))
            .build();
        return InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), folder.resolve("config"), () -> "search");
    }

    private static void end(Node node) {
        try {
            node.close();
        } catch (Exception e) {
            e.printStackTrace();
        } finally {
            ended.countDown();
        }
    }

    public static void main(String[] arguments) throws Exception {
        LogConfigurator.registerErrorListener();
        LogConfigurator.configureWithoutConfig(Settings.builder().put("logger.level", "WARN").build());
        Environment environment = environment(Path.of(arguments[0]), Path.of(arguments[1]), Integer.parseInt(arguments[2]));
        PluginsLoader plugins = PluginsLoader.createPluginsLoader(
            PluginsLoader.loadModulesBundles(environment.modulesDir()), PluginsLoader.loadPluginsBundles(environment.pluginsDir()), Map.of(), false);
        Node node = new Node(environment, plugins);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> end(node)));
        node.start();
        System.out.println("Search node started");
        ended.await();
    }
}
