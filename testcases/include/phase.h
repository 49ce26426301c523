/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A test that is run again on the disk that it left.
 *
 *	[cases.survives]
 *	phases = ["power cut"]
 *
 *	TEST(survives)
 *	{
 *		if (phase() == 1) {
 *			... write, fsync ...
 *			phase_ends("power cut");
 *		}
 *		... another guest, that disk ...
 *	}
 *
 * Events: power cut, panic, reboot, remount, copy (another guest on the spare
 * disk, which the test has made a copy on), snapshot (the test goes on).
 *
 * With cuts = true, phase 1 says mark() where the window of writes begins, where
 * what is promised changes, and where the window ends; phase 2 runs for each
 * place at which the writes may have been cut off.
 *
 * Outside the lab, where nobody cuts the power, such tests are skipped.
 */
#ifndef LAB_PHASE_H
#define LAB_PHASE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "errno_assert.h"

/* Which run of the test this is, from 1. */
static inline int phase_number(void)
{
	const char *number = getenv("LAB_PHASE");

	return number ? atoi(number) : 0;
}

#define phase() ({						\
	int __number = phase_number();				\
								\
	if (!__number)						\
		SKIP(return, "nobody here to end a phase of it"); \
	__number;						\
})

/* Asks the host, and waits until it has done what was asked. */
static inline void phase_ask(const char *what, const char *name)
{
	char answer;

	fflush(stdout);
	dprintf(STDOUT_FILENO, "# lab: %s%s\n", what, name);
	if (read(STDIN_FILENO, &answer, 1) != 1)
		_exit(EXIT_FAILURE);
}

/* Comes back only from a snapshot, and from a panic that is still to come. */
static inline void phase_ends(const char *event)
{
	phase_ask(event, "");
}

static inline void mark(const char *name)
{
	phase_ask("mark ", name);
}

/* The last mark that was passed before the power went. */
static inline const char *phase_mark(void)
{
	const char *name = getenv("LAB_MARK");

	return name ? name : "";
}

static inline bool phase_passed(const char *name)
{
	return !strcmp(phase_mark(), name);
}

/* The device of the spare disk: of the size and kind of the one under test, freshly made. */
static inline const char *phase_spare(void)
{
	const char *device = getenv("LAB_SPARE");

	return device ? device : "";
}

#endif /* LAB_PHASE_H */
