// SPDX-License-Identifier: GPL-2.0
/*
 * fs.protected_names=1: no new directory entry has a control character in its
 * name. may_create() decides for mkdir, link, symlink and rename; open(O_CREAT)
 * decides by itself.
 *
 * Each test
 *  1. makes what has to be there before,
 *  2. writes 1 to the sysctl (ENOENT: this kernel does not have it),
 *  3. makes a name, and is refused with EPERM or not.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "errno_assert.h"

static void protect_names(struct __test_metadata *_metadata)
{
	int fd = ASSERT_OK(open("/proc/sys/fs/protected_names", O_WRONLY));

	ASSERT_OK(write(fd, "1", 1));
	ASSERT_OK(close(fd));
}

static void new_file(struct __test_metadata *_metadata, const char *name)
{
	ASSERT_OK(close(ASSERT_OK(open(name, O_RDWR | O_CREAT | O_EXCL, 0600))));
}

TEST(directory_is_refused)
{
	protect_names(_metadata);
	ASSERT_ERRNO_EQ(-EPERM, mkdir("two\nlines", 0700));
	ASSERT_OK(mkdir("one line", 0700));
}

TEST(links_are_refused)
{
	new_file(_metadata, "a");
	protect_names(_metadata);
	ASSERT_ERRNO_EQ(-EPERM, link("a", "\033[31mred"));
	ASSERT_ERRNO_EQ(-EPERM, symlink("a", "\033[31mred"));
}

TEST(rename_is_refused)
{
	new_file(_metadata, "a");
	protect_names(_metadata);
	ASSERT_ERRNO_EQ(-EPERM, rename("a", "a\177"));
	ASSERT_OK(access("a", F_OK));
}

TEST(create_is_refused)
{
	protect_names(_metadata);
	ASSERT_ERRNO_EQ(-EPERM, open("a\tb", O_RDWR | O_CREAT, 0600));
	ASSERT_ERRNO_EQ(-ENOENT, open("a\tb", O_RDWR));
}

TEST(old_names_can_go)
{
	new_file(_metadata, "a\nb");
	new_file(_metadata, "c\nd");
	protect_names(_metadata);
	ASSERT_OK(close(ASSERT_OK(open("a\nb", O_RDWR | O_CREAT, 0600))));
	ASSERT_OK(rename("a\nb", "c\nd"));	/* no new name */
	ASSERT_OK(rename("c\nd", "e"));
	ASSERT_OK(unlink("e"));
}

TEST(other_bytes_are_names)
{
	protect_names(_metadata);
	new_file(_metadata, "stra\xc3\x9f" "e 1");
}

TEST(off_by_default)
{
	new_file(_metadata, "a\nb");
	ASSERT_OK(mkdir("c\td", 0700));
}

TEST_HARNESS_MAIN
