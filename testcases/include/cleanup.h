/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a variable holds is given back when its scope ends. Not run when an
 * assertion leaves a test: the process that ran it ends then anyway.
 */
#ifndef LAB_CLEANUP_H
#define LAB_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_free_pointer(void *pointer)
{
	free(*(void **)pointer);
}

static inline void cleanup_close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static inline void cleanup_close_file(FILE **file)
{
	if (*file)
		fclose(*file);
}

#define cleanup_close	__attribute__((cleanup(cleanup_close_fd)))
#define cleanup_free	__attribute__((cleanup(cleanup_free_pointer)))
#define cleanup_closedir __attribute__((cleanup(cleanup_close_dir)))
#define cleanup_fclose	__attribute__((cleanup(cleanup_close_file)))

#endif /* LAB_CLEANUP_H */
