/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a case may do, without being one: the ways through the kernel that most cases take, so that they have been gone
 * once. What does not work here (on a filesystem that is read-only, or full) is no matter.
 */
#ifndef LAB_REHEARSAL_H
#define LAB_REHEARSAL_H

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define REHEARSAL_FOLDER	".lab-rehearsal"

static void rehearse_files(void)
{
	static char text[4096];
	struct stat st;
	int fd;

	fd = open("a", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	memset(text, 'a', sizeof(text));
	write(fd, text, sizeof(text));
	lseek(fd, 0, SEEK_SET);
	read(fd, text, sizeof(text));
	pread(fd, text, sizeof(text), 0);
	link("a", "b");
	rename("b", "c");
	unlink("c");
	unlink("a");
	fstat(fd, &st);
	stat("a", &st);
	fsync(fd);
	ftruncate(fd, 0);
	dup2(fd, fd + 1);
	close(fd + 1);
	close(fd);
}

static void rehearse_folders(void)
{
	struct dirent *entry;
	DIR *dir;

	mkdir("d", 0700);
	dir = opendir(".");
	while (dir && (entry = readdir(dir)))
		;
	if (dir)
		closedir(dir);
	rmdir("d");
}

static void rehearse_memory(void)
{
	const size_t size = 16 * 4096;
	char *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *own = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (shared == MAP_FAILED || own == MAP_FAILED)
		return;
	shared[0] = own[0] = 1;
	mprotect(own, size, PROT_READ);
	munmap(own, size);
	munmap(shared, size);
}

static void rehearse_tasks(void)
{
	struct timespec moment = { .tv_nsec = 1000000 };
	char arrived;
	int ends[2];
	pid_t pid;

	if (pipe(ends))
		return;
	pid = fork();
	if (pid < 0)
		return;
	if (!pid) {
		rehearse_files();
		rehearse_folders();
		write(ends[1], "a", 1);
		pause();
	}
	read(ends[0], &arrived, 1);
	nanosleep(&moment, NULL);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ends[0]);
	close(ends[1]);
}

/* Returns the exit status of the task that has rehearsed, below ``target``. */
static int rehearse(const char *target)
{
	if (chdir(target))
		return 1;
	if (mkdir(REHEARSAL_FOLDER, 0700) == 0 && chdir(REHEARSAL_FOLDER) == 0) {
		rehearse_memory();
		rehearse_tasks();
		rehearse_files();
		chdir("..");
		rmdir(REHEARSAL_FOLDER);
	}
	printf("TAP version 13\n1..1\nok 1 rehearsal\n");
	fflush(stdout);
	return 0;
}

#endif /* LAB_REHEARSAL_H */
