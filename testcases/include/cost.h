/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a piece of a case costs:
 *
 *	start = lab_clock();
 *	...
 *	lab_cost("checkpoint", lab_clock() - start);
 *
 * `lab run --exact` runs the guest so that this clock moves by one with each
 * instruction, and by what a timer was waited for while the guest was idle: the
 * number is then the same in every run and on every machine. In other runs it
 * counts ticks of the host's processor, and says little.
 *
 * A case may report any other number of itself (bytes, names) the same way.
 */
#ifndef LAB_COST_H
#define LAB_COST_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef unsigned long long lab_ticks;

static inline lab_ticks lab_clock(void)
{
	return __builtin_ia32_rdtsc();
}

/* One word and a number; straight to the descriptor, since a test may end without flushing. */
static inline void lab_cost(const char *what, lab_ticks number)
{
	fflush(stdout);
	dprintf(STDOUT_FILENO, "# lab_cost %s %llu\n", what, number);
}

static inline int lab_compare_ticks(const void *a, const void *b)
{
	lab_ticks left = *(const lab_ticks *)a, right = *(const lab_ticks *)b;

	return left < right ? -1 : left > right;
}

/* Of many rounds the middle one: a round that a timer interrupt fell into is dearer. Sorts them. */
static inline lab_ticks lab_median(lab_ticks *rounds, size_t count)
{
	qsort(rounds, count, sizeof(*rounds), lab_compare_ticks);
	return rounds[count / 2];
}

#endif /* LAB_COST_H */
