// SPDX-License-Identifier: GPL-2.0
/*
 * gcov: the kernel's line counters (CONFIG_GCOV_KERNEL), for a host that has the compiler's notes.
 *
 *	gcov -t reset	all counters become zero
 *	gcov -t read	every counters' file, as
 *
 *		gcov begin <path below debugfs>
 *		<base64>
 *		gcov end
 *
 *	gcov -t nothing	does nothing: what a program counts that does not test anything
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef COUNTERS
#define COUNTERS	"/sys/kernel/debug/gcov"
#endif
#define DEPTH		32
/* Of input a line: three bytes become four characters, and a line has to fit into a frame of the agent's. */
#define LINE		2400

static void print_base64(const unsigned char *data, size_t length)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t at;

	for (at = 0; at < length; at += 3) {
		unsigned int bits = data[at] << 16;

		bits |= at + 1 < length ? data[at + 1] << 8 : 0;
		bits |= at + 2 < length ? data[at + 2] : 0;
		putchar(digits[bits >> 18]);
		putchar(digits[bits >> 12 & 63]);
		putchar(at + 1 < length ? digits[bits >> 6 & 63] : '=');
		putchar(at + 2 < length ? digits[bits & 63] : '=');
	}
	putchar('\n');
}

/* The whole of a file that tells no size, in lines that only the last of which may be short. */
static void print_file(const char *path)
{
	unsigned char data[LINE];
	size_t length = 0;
	ssize_t got;
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		err(1, "%s", path);
	while ((got = read(fd, data + length, sizeof(data) - length)) > 0) {
		length += got;
		if (length == sizeof(data)) {
			print_base64(data, length);
			length = 0;
		}
	}
	if (got < 0)
		err(1, "%s", path);
	if (length)
		print_base64(data, length);
	close(fd);
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *unused)
{
	const char *end = strrchr(path, '.');

	if (type != FTW_F || !end || strcmp(end, ".gcda"))
		return 0;
	printf("gcov begin %s\n", path + strlen(COUNTERS));
	print_file(path);
	printf("gcov end\n");
	return 0;
}

static void reset(void)
{
	int fd = open(COUNTERS "/reset", O_WRONLY);

	if (fd < 0 || write(fd, "1", 1) != 1)
		err(1, COUNTERS "/reset");
	close(fd);
}

int main(int argc, char **argv)
{
	const char *what = argc == 3 ? argv[2] : "";

	if (!strcmp(what, "reset"))
		reset();
	else if (!strcmp(what, "read"))
		return nftw(COUNTERS, visit, DEPTH, FTW_PHYS) ? 1 : 0;
	else if (strcmp(what, "nothing"))
		errx(2, "usage: gcov -t reset|read|nothing");
	return 0;
}
