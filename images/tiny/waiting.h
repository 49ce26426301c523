/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Programs that were started before they are needed and wait in front of their main()
 * (late_main.c), so that a guest can be saved with them.
 */
#ifndef LAB_WAITING_H
#define LAB_WAITING_H

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAITING_MAX	16
#define WAITING_FD	3	/* where such a program finds its end of ``control`` */

struct waiting {
	char program[128];
	pid_t pid;		/* 0: this place is free */
	int output;		/* what the program writes, to be read */
	int control;
};

static struct waiting waiting[WAITING_MAX];

static struct waiting *find_waiting(const char *program)
{
	int i;

	for (i = 0; i < WAITING_MAX; i++)
		if (waiting[i].pid && !strcmp(waiting[i].program, program))
			return &waiting[i];
	return NULL;
}

static struct waiting *free_waiting(void)
{
	int i;

	for (i = 0; i < WAITING_MAX; i++)
		if (!waiting[i].pid)
			return &waiting[i];
	return NULL;
}

static void dismiss(struct waiting *one)
{
	kill(one->pid, SIGKILL);
	waitpid(one->pid, NULL, 0);
	close(one->output);
	close(one->control);
	one->pid = 0;
}

/* A case is alone: who waits for other cases goes before it begins. */
static void dismiss_others(const struct waiting *but)
{
	int i;

	for (i = 0; i < WAITING_MAX; i++)
		if (waiting[i].pid && &waiting[i] != but)
			dismiss(&waiting[i]);
}

/* True once the program stands in front of its main(); it never comes there when it cannot be run. */
static bool has_arrived(const struct waiting *one)
{
	char byte;

	return read(one->control, &byte, 1) == 1;
}

/* Lets a program go on with these arguments, and forgets it: false when it is not there any more. */
static bool release(struct waiting *one, const char *first, const char *second)
{
	char line[512];
	int length = snprintf(line, sizeof(line), "%s %s\n", first ? first : "", second ? second : "");
	bool done = length < (int)sizeof(line) && write(one->control, line, length) == length;

	close(one->control);
	one->pid = 0;
	return done;
}

#endif /* LAB_WAITING_H */
