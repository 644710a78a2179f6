/* How many passwords are hashed at a time by all processes of an instance on this machine. A hash takes a processor for tens of
 * milliseconds by design; with a processor left free of them, however many want to sign in, nobody else waits for one. Who waits
 * for a turn sleeps. Turns are locks of a file, which the kernel takes back from a process that dies. */
#ifndef MOPL_HASH_TURNS_H
#define MOPL_HASH_TURNS_H

#include <stdint.h>

enum { HASH_TURNS_MAX = 256 };

/* Once a process, before its first hash: the file is MOPL_DATA/run/hashing.lock, made if missing (0600). `at_once`: 1 to
 * HASH_TURNS_MAX, or 0: as many as this process may use processors, less one, at least one. Without it, and if there can be no file
 * (logged), nobody waits. */
void hash_turns_open(const char *data_dir, int64_t at_once);
void hash_turns_close(void);
/* Waits for a turn, in the order of coming; to be given back. -1: turns are not kept. */
int hash_turn_take(void);
void hash_turn_give(int turn);

#endif
