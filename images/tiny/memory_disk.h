/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A disk in the guest's own memory, behind a loop device, for guests whose every
 * instruction must fall the same in each run: a virtio disk answers when the host
 * has time for it.
 *
 * Its contents come in the initramfs as a list of extents (harness/guest/memory_disk.py):
 * two 64-bit numbers, offset and length, then the bytes; the first has length 0 and its
 * offset is the size of the disk.
 */
#ifndef LAB_MEMORY_DISK_H
#define LAB_MEMORY_DISK_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include <linux/loop.h>

#define EXTENTS		"/disk.extents"
#define DISK_FOLDER	"/disk"
#define DISK_DEVICE	"/dev/loop0"

struct extent {
	uint64_t offset, length;
};

static bool copy_extent(int disk, int list, const struct extent *extent)
{
	uint64_t left = extent->length;

	if (lseek(disk, extent->offset, SEEK_SET) < 0)
		return false;
	while (left) {
		ssize_t copied = sendfile(disk, list, NULL, left);

		if (copied <= 0)
			return false;
		left -= copied;
	}
	return true;
}

static bool fill_disk(int disk, int list)
{
	struct extent extent;
	ssize_t got;

	if (read(list, &extent, sizeof(extent)) != sizeof(extent) || ftruncate(disk, extent.offset))
		return false;
	while ((got = read(list, &extent, sizeof(extent))) == sizeof(extent))
		if (!copy_extent(disk, list, &extent))
			return false;
	return got == 0;
}

static bool attach_disk(int disk)
{
	struct loop_config config = { .fd = disk };
	int device = open(DISK_DEVICE, O_RDWR | O_CLOEXEC);
	bool done = device >= 0 && !ioctl(device, LOOP_CONFIGURE, &config);

	if (device >= 0)
		close(device);
	return done;
}

/* True when there is none to make; errno says why not. */
static bool make_memory_disk(void)
{
	int list = open(EXTENTS, O_RDONLY | O_CLOEXEC), disk;
	bool done;

	if (list < 0)
		return errno == ENOENT;
	mkdir(DISK_FOLDER, 0700);
	if (mount("tmpfs", DISK_FOLDER, "tmpfs", 0, "size=100%,mode=0700"))
		return false;
	disk = open(DISK_FOLDER "/image", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	done = disk >= 0 && fill_disk(disk, list) && attach_disk(disk);
	if (disk >= 0)
		close(disk);
	close(list);
	unlink(EXTENTS);
	return done;
}

#endif /* LAB_MEMORY_DISK_H */
