/* SPDX-License-Identifier: GPL-2.0 */
/* What subjects of relinking do again and again. All of it fails the subject when it does not work. */
#ifndef LAB_ORPHAN_H
#define LAB_ORPHAN_H

#include "subject.h"

/* A new open file with this text, its offset at the end. */
static inline int new_file(const char *path, const char *text)
{
	int fd = MUST(open(path, O_RDWR | O_CREAT | O_EXCL, 0600));

	MUST_WRITE(fd, text);
	return fd;
}

/* The same without a name. */
static inline int new_orphan(const char *path, const char *text)
{
	int fd = new_file(path, text);

	MUST(unlink(path));
	return fd;
}

/* A directory, open. */
static inline int new_directory(const char *path)
{
	MUST(mkdir(path, 0700));
	return MUST(open(path, O_RDONLY | O_DIRECTORY));
}

/* The same without a name. */
static inline int new_removed_directory(const char *path)
{
	int fd = new_directory(path);

	MUST(rmdir(path));
	return fd;
}

/* Only the kernel may give an unlinked file a name: link(2) must not, now as ever. */
static inline void must_not_link(int fd)
{
	char proc[32];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	MUST_FAIL(-ENOENT, linkat(fd, "", AT_FDCWD, "linked", AT_EMPTY_PATH));
	MUST_FAIL(-ENOENT, linkat(AT_FDCWD, proc, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW));
}

/* As new_orphan() left it: no link, none to be had, and the text. */
static inline void must_be_orphan(int fd, const char *text)
{
	MUST_EQ(0, subject_stat(fd).st_nlink);
	MUST_HOLD(text, fd);
	must_not_link(fd);
}

#endif /* LAB_ORPHAN_H */
