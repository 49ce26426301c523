/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory that nothing points to any more, on kernels that can tell (leaks.config):
 * after a case kmemleak looks for it, and its report goes to the console, where the
 * host finds it as it finds any other complaint.
 */
#ifndef LAB_LEAKS_H
#define LAB_LEAKS_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define KMEMLEAK	"/sys/kernel/debug/kmemleak"
/* kmemleak keeps quiet of objects that are younger than 5 s (MSECS_MIN_AGE). */
#define LEAK_AGE_MS	5200
#define LEAK_STEP_MS	200

static void report_leaks(void)
{
	FILE *report = fopen(KMEMLEAK, "re");
	int kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	char *line = NULL;
	size_t size = 0;

	while (report && kmsg >= 0 && getline(&line, &size, report) > 0)
		if (write(kmsg, line, strlen(line)) < 0)
			break;
	free(line);
	if (report)
		fclose(report);
	if (kmsg >= 0)
		close(kmsg);
}

/* Calls beat() at least as often as the host wants to hear of the guest. */
static void find_leaks(void (*beat)(void))
{
	int kmemleak = open(KMEMLEAK, O_WRONLY | O_CLOEXEC);
	int waited, scans;

	if (kmemleak < 0)
		return;
	for (waited = 0; waited < LEAK_AGE_MS; waited += LEAK_STEP_MS) {
		beat();
		usleep(LEAK_STEP_MS * 1000);
	}
	/* The first takes an object's checksum, the next sees that nobody wrote to it since. */
	for (scans = 0; scans < 2; scans++) {
		if (write(kmemleak, "scan", 4) < 0)
			break;
		beat();
	}
	close(kmemleak);
	report_leaks();
}

#endif
