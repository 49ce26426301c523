/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tasks that are not root: a user, and just these capabilities.
 *
 *	become(1000, CAPABILITY(CAP_DAC_READ_SEARCH));
 */
#ifndef LAB_PRIVILEGES_H
#define LAB_PRIVILEGES_H

#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "subject.h"

#define CAPABILITY(number) (1ULL << (number))
#define ALL_CAPABILITIES (CAPABILITY(CAP_LAST_CAP + 1) - 1)

static inline int set_capabilities(uint64_t capabilities)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	for (int i = 0; i < 2; i++) {
		uint32_t half = capabilities >> (32 * i);

		data[i] = (struct __user_cap_data_struct){ half, half, half };
	}
	return syscall(SYS_capset, &header, data);
}

/* A program that is executed has them too. */
static inline int keep_capabilities_in_exec(uint64_t capabilities)
{
	for (int number = 0; number <= CAP_LAST_CAP; number++)
		if (capabilities & CAPABILITY(number) &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0))
			return -1;
	return 0;
}

/* From root to a user; 0 or -1 and errno. */
static inline int become(uid_t uid, uint64_t capabilities)
{
	/* Above this one limit a kernel knows no more; to ask for more is EPERM. */
	while (capabilities && prctl(PR_CAPBSET_READ, 63 - __builtin_clzll(capabilities)) != 1)
		capabilities &= ~CAPABILITY(63 - __builtin_clzll(capabilities));
	if (prctl(PR_SET_KEEPCAPS, 1) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
		return -1;
	return set_capabilities(capabilities) ?: keep_capabilities_in_exec(capabilities);
}

/* The subject goes on as a user, who may still write to its folder. */
static inline void subject_become(uid_t uid, uint64_t capabilities)
{
	char report[256];

	tell("uid", uid);
	subject_path(report, sizeof(report), subject_self.folder, "report", 0);
	MUST(chmod(subject_self.folder, 0777));
	MUST(chmod(report, 0666));
	MUST(become(uid, capabilities));
}

#endif /* LAB_PRIVILEGES_H */
