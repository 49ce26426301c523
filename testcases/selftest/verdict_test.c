// SPDX-License-Identifier: GPL-2.0
/*
 * Cases that end in each way a case can end, to judge the judge: what each must
 * be taken for is in suite.toml. The kernel breaks by its own crash test module
 * (CONFIG_LKDTM, on debugfs) or by sysrq.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>

#include "cleanup.h"
#include "errno_assert.h"

#define PROVOKE "/sys/kernel/debug/provoke-crash/DIRECT"

static void write_file(struct __test_metadata *_metadata, const char *path, const char *text)
{
	cleanup_close int fd = open(path, O_WRONLY);

	if (fd < 0)
		FAIL("open(%s): %s, expected success", path, errno_text(-errno).text);
	if (write(fd, text, strlen(text)) < 0)
		FAIL("write(%s) to %s: %s, expected success", text, path, errno_text(-errno).text);
}

TEST(pass)
{
	ASSERT_EQ(4, 2 + 2);
}

TEST(fail)
{
	ASSERT_OK(open("/there/is/no/such/file", O_RDONLY));
}

/* A failed EXPECT goes on, and stays a failure whatever follows. */
TEST(fail_then_go_on)
{
	EXPECT_EQ(5, 2 + 2);
	ASSERT_EQ(4, 2 + 2);
}

TEST(skip)
{
	SKIP(return, "not here");
}

/* The harness notes the signal and prints "not ok" as for an assertion, which it is not. */
TEST(crash_in_test)
{
	raise(SIGSEGV);
}

/* User space that does not end, in a guest that is well. */
TEST(timeout)
{
	for (;;)
		pause();
}

/* The test passes; the kernel complained. */
TEST(warn_splat)
{
	write_file(_metadata, PROVOKE, "WARNING");
}

/* The same, but the suite says that it must. */
TEST(declared_splat)
{
	write_file(_metadata, PROVOKE, "WARNING");
}

/* The suite says that it must complain, and it does not. */
TEST(declared_splat_missing)
{
}

/* Kills the writer; the guest lives. */
TEST(oops)
{
	write_file(_metadata, PROVOKE, "EXCEPTION");
}

TEST(bug)
{
	write_file(_metadata, PROVOKE, "BUG");
}

TEST(panic)
{
	write_file(_metadata, "/proc/sysrq-trigger", "c");
}

/* The only processor spins with interrupts off: nothing in the guest can say so. */
TEST(hang_kernel)
{
	write_file(_metadata, PROVOKE, "HARDLOCKUP");
}

/* A task that no signal ends. */
TEST(stuck_task)
{
	write_file(_metadata, PROVOKE, "HUNG_TASK");
}

TEST_HARNESS_MAIN
