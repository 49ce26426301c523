/* SPDX-License-Identifier: GPL-2.0 */
/*
 * checkpoint(2) and restart(2) as C functions, also where the installed
 * headers do not know them: a case must build for, and run on, a kernel
 * without the series.
 *
 * Both return -errno and leave errno set.
 */
#ifndef LAB_CHECKPOINT_H
#define LAB_CHECKPOINT_H

#include <errno.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#if __has_include(<linux/checkpoint.h>)
#include <linux/checkpoint.h>
#endif

/* Any base: the numbers are free in mainline (series-wide, x86_64). */
#ifndef __NR_checkpoint
#define __NR_checkpoint 500
#endif
#ifndef __NR_restart
#define __NR_restart 501
#endif

#ifndef CHECKPOINT_SUBTREE
#define CHECKPOINT_SUBTREE 0x1
#endif
#ifndef CHECKPOINT_FD_NONE
#define CHECKPOINT_FD_NONE (-1)
#endif
#ifndef RESTART_TASKSELF
#define RESTART_TASKSELF 0x1
#endif
#ifndef RESTART_KEEP_RELINKED
#define RESTART_KEEP_RELINKED 0x20
#endif

/* Where an unlinked file is given a name, below the root of its mount. */
#define CHECKPOINT_DIR "lost+found/checkpoint"

/*
 * A positive identifier in the task that was checkpointed, 0 in the task that
 * a restart made of it.
 */
static inline long sys_checkpoint(pid_t pid, int fd, unsigned long flags, int logfd)
{
	long ret = syscall(__NR_checkpoint, pid, fd, flags, logfd);

	return ret < 0 ? -errno : ret;
}

/* Returns only when it failed: on success the caller has become the image. */
static inline long sys_restart(pid_t pid, int fd, unsigned long flags, int logfd)
{
	long ret = syscall(__NR_restart, pid, fd, flags, logfd);

	return ret < 0 ? -errno : ret;
}

#endif /* LAB_CHECKPOINT_H */
