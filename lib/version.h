/* Which version of MOPL a program is: the number in the file VERSION when it was built, and the newest migration it was built with.
 */
#ifndef MOPL_VERSION_H
#define MOPL_VERSION_H

#include <stdbool.h>

extern const char mopl_version[]; /* "1.0.0" */
extern const int mopl_schema;     /* number of the newest of sql/migrations */

/* True if the program was asked for its version alone; then "NAME (MOPL) 1.0.0, schema 22" has been printed. */
bool version_asked(int argc, char **argv, const char *name);
/* Shows mopl_build_info among this process' metrics until it ends; after metrics_open. */
void version_show(void);

#endif
