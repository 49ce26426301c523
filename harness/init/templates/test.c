// SPDX-License-Identifier: GPL-2.0
/*
 * What [[ series ]] changes. Say here how it works, and what each test does, step by step.
 *
 * A test runs as root in a guest of its own, in the root of a freshly made filesystem.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <unistd.h>

#include "errno_assert.h"

TEST(works_as_before)
{
	char read_back[4];
	int fd = ASSERT_OK(open("a", O_RDWR | O_CREAT | O_EXCL, 0600));

	ASSERT_EQ(4, write(fd, "text", 4));
	ASSERT_EQ(4, pread(fd, read_back, 4, 0));
	ASSERT_EQ(0, memcmp(read_back, "text", 4));
	ASSERT_OK(close(fd));
	ASSERT_OK(unlink("a"));
}

TEST_HARNESS_MAIN
