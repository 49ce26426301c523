// SPDX-License-Identifier: GPL-2.0
/* restart: become the task of an image. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checkpoint.h"

static void usage(FILE *to)
{
	fputs("usage: restart --self [-i IMAGE] [-l LOG]\n"
	      "  --self    the image is of one task; this process becomes it\n"
	      "  -i IMAGE  read the image from this file; default: standard input\n"
	      "  -l LOG    write what the kernel has to say to this file; default: standard error\n"
	      "On success the exit status is the task's own.\n", to);
}

static int fail(const char *what)
{
	const char *name = strerrorname_np(errno);

	fprintf(stderr, "restart: %s: %s (%s)\n", what, name ? name : "?", strerror(errno));
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "self", no_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *image_path = NULL, *log_path = NULL;
	int image = STDIN_FILENO, log = STDERR_FILENO, option;
	int self = 0;

	while ((option = getopt_long(argc, argv, "i:l:h", options, NULL)) != -1) {
		switch (option) {
		case 's':
			self = 1;
			break;
		case 'i':
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
	if (optind != argc || !self) {
		usage(stderr);
		return 2;
	}

	if (image_path)
		image = open(image_path, O_RDONLY | O_CLOEXEC);
	if (image < 0)
		return fail(image_path);
	if (log_path)
		log = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (log < 0)
		return fail(log_path);
	sys_restart(0, image, RESTART_TASKSELF, log);
	return fail(image_path ? image_path : "standard input");
}
