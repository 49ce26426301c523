// SPDX-License-Identifier: GPL-2.0
/* checkpoint: write the image of a task. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"

static void usage(FILE *to)
{
	fputs("usage: checkpoint [-c] [-o IMAGE] [-l LOG] PID\n"
	      "  -o IMAGE  write the image to this new file; default: standard output\n"
	      "  -l LOG    write what the kernel has to say to this file; default: standard error\n"
	      "  -c        PID is the init of a container, all of which is wanted\n"
	      "The kernel decides which tasks it can checkpoint; LOG says why not.\n", to);
}

static int fail(const char *what)
{
	const char *name = strerrorname_np(errno);

	fprintf(stderr, "checkpoint: %s: %s (%s)\n", what, name ? name : "?", strerror(errno));
	return EXIT_FAILURE;
}

static int open_image(const char *path)
{
	if (path)
		return open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (isatty(STDOUT_FILENO)) {
		errno = EINVAL;
		return -1;
	}
	return STDOUT_FILENO;
}

int main(int argc, char **argv)
{
	const char *image_path = NULL, *log_path = NULL;
	unsigned long flags = CHECKPOINT_SUBTREE;
	int image, log = STDERR_FILENO, option;
	char *end;
	long pid, identifier;

	while ((option = getopt(argc, argv, "co:l:h")) != -1) {
		switch (option) {
		case 'c':
			flags &= ~CHECKPOINT_SUBTREE;
			break;
		case 'o':
			image_path = optarg;
			break;
		case 'l':
			log_path = optarg;
			break;
		case 'h':
			usage(stdout);
			return EXIT_SUCCESS;
		default:
			usage(stderr);
			return 2;
		}
	}
	pid = optind == argc - 1 ? strtol(argv[optind], &end, 10) : 0;
	if (pid <= 0 || pid != (pid_t)pid || *end) {
		usage(stderr);
		return 2;
	}

	image = open_image(image_path);
	if (image < 0)
		return fail(image_path ? image_path : "an image is not for a terminal");
	if (log_path)
		log = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (log < 0) {
		fail(log_path);
		goto out;
	}
	identifier = sys_checkpoint(pid, image, flags, log);
	if (identifier >= 0) {
		fprintf(stderr, "checkpoint %ld of task %ld\n", identifier, pid);
		return EXIT_SUCCESS;
	}
	fail(argv[optind]);
out:
	/* A part of an image is of no use, and O_EXCL would refuse the next attempt. */
	if (image_path)
		unlink(image_path);
	return EXIT_FAILURE;
}
