// SPDX-License-Identifier: GPL-2.0-only
/*
 * Linked to each case program: lets it be started before it is known what it will be asked.
 *
 * A guest is saved with its programs loaded, each waiting in front of its main(), so that no fork of it has to execute
 * what loading a program takes. The words of the command line come later, on a file descriptor that the agent
 * (waiting.h) names in the environment: one line of them, separated by blanks. Started in any other way the program does
 * not notice.
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VARIABLE	"LAB_WAITS"
#define WORDS_MAX	8

int __real_main(int argc, char **argv, char **envp);

/* Tells that the program has come to here, and takes the line that answers. */
static bool take_line(int fd, char *line, size_t size)
{
	size_t length = 0;

	if (write(fd, "\n", 1) != 1)
		return false;
	while (length < size - 1 && read(fd, line + length, 1) == 1) {
		if (line[length] == '\n') {
			line[length] = '\0';
			return true;
		}
		length++;
	}
	return false;
}

int __wrap_main(int argc, char **argv, char **envp)
{
	static char line[512], *words[WORDS_MAX + 1];
	const char *fd = getenv(VARIABLE);
	char *word, *rest = line;

	if (!fd)
		return __real_main(argc, argv, envp);
	if (!take_line(atoi(fd), line, sizeof(line)))
		_exit(127);
	close(atoi(fd));
	unsetenv(VARIABLE);
	words[0] = argv[0];
	for (argc = 1; argc < WORDS_MAX && (word = strsep(&rest, " ")); )
		if (*word)
			words[argc++] = word;
	return __real_main(argc, words, environ);
}
