// SPDX-License-Identifier: GPL-2.0
/*
 * Programs that say something else than a good test program would. Without a
 * harness: it would not let them. "raw_test -t <name>" is one of them; none of
 * them is a pass.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RAW_TEST(name) static int name(void)

/* A plan of nothing, as the harness prints when no test has the name asked for. */
RAW_TEST(no_tests)
{
	puts("TAP version 13\n1..0\n# PASSED: 0 / 0 tests passed.");
	return EXIT_SUCCESS;
}

RAW_TEST(silent)
{
	return EXIT_SUCCESS;
}

RAW_TEST(crash)
{
	puts("TAP version 13\n1..1");
	fflush(stdout);
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
	return EXIT_SUCCESS;
}

/* Two promised, one given. */
RAW_TEST(exits_early)
{
	puts("TAP version 13\n1..2\nok 1 exits_early");
	return EXIT_SUCCESS;
}

/* What it prints and how it ends are at odds. */
RAW_TEST(passes_and_exits_with_failure)
{
	puts("TAP version 13\n1..1\nok 1 passes_and_exits_with_failure");
	return EXIT_FAILURE;
}

/* A pass, of something that was not asked for. */
RAW_TEST(passes_another_test)
{
	puts("TAP version 13\n1..1\nok 1 another");
	return EXIT_SUCCESS;
}

RAW_TEST(bails_out)
{
	puts("TAP version 13\n1..1\nBail out! no more\nok 1 bails_out");
	return EXIT_SUCCESS;
}

static const struct {
	const char *name;
	int (*run)(void);
} tests[] = {
	{ "no_tests", no_tests },
	{ "silent", silent },
	{ "crash", crash },
	{ "exits_early", exits_early },
	{ "passes_and_exits_with_failure", passes_and_exits_with_failure },
	{ "passes_another_test", passes_another_test },
	{ "bails_out", bails_out },
};

int main(int argc, char **argv)
{
	if (argc != 3 || strcmp(argv[1], "-t")) {
		fprintf(stderr, "usage: raw_test -t <name>\n");
		return 2;
	}
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		if (!strcmp(tests[i].name, argv[2]))
			return tests[i].run();
	fprintf(stderr, "raw_test: there is no %s\n", argv[2]);
	return 2;
}
