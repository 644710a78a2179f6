/* mopl-conf: reads and checks all settings, for people and for the control script. */
#include <stdio.h>
#include <string.h>

#include "conf.h"
#include "version.h"

enum { EXIT_BAD_SETTINGS = 1, EXIT_BAD_USAGE = 2 };

static const char usage[] =
    "usage: mopl-conf --print | --export | --check | --version | --help\n"
    "  --print   every setting with its value and meaning, secrets masked\n"
    "  --export  NAME='value' lines for a shell, secrets included\n"
    "  --check   report what is wrong, print nothing else\n"
    "  --help    this text\n"
    "Values come from the environment, else from MOPL_SETTINGS ($MOPL_DATA/settings.env), else they are defaults.\n"
    "Exit status: 0 all is well, 1 bad settings, 2 bad usage.\n";

int main(int argc, char **argv) {
    const char *option = argc == 2 ? argv[1] : "";
    bool print = strcmp(option, "--print") == 0;
    bool export = strcmp(option, "--export") == 0;
    if (strcmp(option, "--help") == 0) {
        fputs(usage, stdout);
        return 0;
    }
    if (version_asked(argc, argv, "mopl-conf")) return 0;
    if (!print && !export && strcmp(option, "--check") != 0) {
        fputs(usage, stderr);
        return EXIT_BAD_USAGE;
    }
    struct conf conf;
    if (conf_load(&conf, stderr) != RC_OK) return EXIT_BAD_SETTINGS;
    if (print) conf_print(&conf, stdout);
    if (export) conf_export(&conf, stdout);
    conf_fini(&conf);
    return 0;
}
