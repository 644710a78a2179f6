#include "version.h"

#include <stdio.h>
#include <string.h>

#include "metrics.h"

#define TEXT(tokens) #tokens
#define TEXT_OF(macro) TEXT(macro)

const char mopl_version[] = TEXT_OF(MOPL_VERSION);
const int mopl_schema = MOPL_SCHEMA;

bool version_asked(int argc, char **argv, const char *name) {
    if (argc != 2 || strcmp(argv[1], "--version") != 0) return false;
    printf("%s (MOPL) %s, schema %d\n", name, mopl_version, mopl_schema);
    return true;
}

/* A gauge adds up over the living: while one version gives way to another, both show how far that has got. */
void version_show(void) {
    static const struct metric build = {
        .name = "mopl_build_info", .help = "Processes of each version.", .type = METRIC_GAUGE, .labels = {"version", "schema"}};
    char schema[12];
    (void)snprintf(schema, sizeof schema, "%d", mopl_schema);
    const char *const values[] = {mopl_version, schema};
    metric_set(metric_intern(&build, values), 1);
}
