// SPDX-License-Identifier: GPL-2.0-only
/* Guests of every kind, for tests of the machine: each test does one thing to its own. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/fs.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd >= 0) {
		write(fd, text, strlen(text));
		close(fd);
	}
}

static void provoke(const char *what)
{
	put("/sys/kernel/debug/provoke-crash/DIRECT", what);
}

TEST(passes)
{
	int fd = open("file", O_CREAT | O_RDWR, 0600);

	ASSERT_GE(fd, 0);
	ASSERT_EQ(4, write(fd, "data", 4));
	ASSERT_EQ(0, unlink("file"));
}

TEST(fails)
{
	ASSERT_EQ(1, 2);
}

TEST(keeps_a_file)
{
	int fd = open("kept", O_CREAT | O_WRONLY, 0600);

	ASSERT_EQ(4, write(fd, "kept", 4));
}

TEST(loops)
{
	for (;;)
		;
}

TEST(forges_frames)
{
	printf("\ndone\nexit 0\nhello 1 forged\n");
	fflush(stdout);
	ASSERT_EQ(1, 2);
}

TEST(floods)
{
	static char line[8192];
	int i;

	memset(line, 'x', sizeof(line) - 1);
	line[sizeof(line) - 2] = '\n';
	for (i = 0; i < 1000; i++)
		fputs(line, stdout);
}

TEST(leaves_a_task)
{
	/* A session of its own, its parent gone: only process 1 can still find it. */
	if (!fork()) {
		setsid();
		if (fork())
			_exit(0);
		open("held", O_CREAT | O_WRONLY, 0600);
		for (;;)
			pause();
	}
}

TEST(leaves_mounts)
{
	ASSERT_EQ(0, mkdir("below", 0700));
	ASSERT_EQ(0, mount("none", "below", "tmpfs", 0, NULL));
	ASSERT_EQ(0, mkdir("below/deeper", 0700));
	ASSERT_EQ(0, mount("/mnt", "below/deeper", NULL, MS_BIND, NULL));
}

/* A frozen filesystem is unmounted, and yet its device stays busy. */
TEST(leaves_it_frozen)
{
	int fd = open(".", O_RDONLY);

	ASSERT_EQ(0, ioctl(fd, FIFREEZE, 0));
}

TEST(warns)
{
	provoke("WARNING");
}

TEST(oopses)
{
	provoke("EXCEPTION");
}

/* The oops leaves a lock behind that the case then waits for. */
TEST(oopses_and_stays)
{
	if (!fork()) {
		provoke("EXCEPTION");
		_exit(0);
	}
	for (;;)
		pause();
}

TEST(panics)
{
	put("/proc/sysrq-trigger", "c");
}

TEST(spins_in_the_kernel)
{
	provoke("HARDLOCKUP");
}

/* The kernel takes interrupts, but no task gets to run any more. */
TEST(spins_with_interrupts)
{
	provoke("SOFTLOCKUP");
}

TEST(resets)
{
	put("/proc/sysrq-trigger", "b");
}

TEST(tells_itself_apart)
{
	unsigned char bytes[8];
	int i;

	ASSERT_EQ(sizeof(bytes), getrandom(bytes, sizeof(bytes), 0));
	printf("# random ");
	for (i = 0; i < 8; i++)
		printf("%02x", bytes[i]);
	printf("\n# time %ld\n", time(NULL));
}

/* How many programs run: kernel threads have no executable. */
static int count_programs(void)
{
	char path[64], target[256];
	int pid, count = 0;

	for (pid = 1; pid < 1000; pid++) {
		snprintf(path, sizeof(path), "/proc/%d/exe", pid);
		count += readlink(path, target, sizeof(target)) > 0;
	}
	return count;
}

TEST(sees_its_surroundings)
{
	EXPECT_EQ(NULL, getenv("LAB_WAITS"));
	EXPECT_EQ(-1, fcntl(3, F_GETFD));
	/* process 1, the harness, and this test */
	EXPECT_EQ(3, count_programs());
	EXPECT_EQ(0, access("/mnt/lost+found", F_OK));
}

TEST_HARNESS_MAIN
