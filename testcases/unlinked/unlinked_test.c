// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoint and restart of files that are open, or mapped, but have lost their
 * name.
 *
 * An image holds names, not contents. A file without a name is therefore given
 * one for the time between checkpoint and restart:
 *
 *	checkpoint	links the inode, by what the task holds of it, into
 *			<mount>/lost+found/checkpoint/unlink-at-restart-...
 *			and writes that name to the image;
 *	restart		opens that name and unlinks it again.
 *
 * Without relinking every checkpoint here is refused with EBADF.
 *
 * Each case stands in an empty filesystem that holds lost+found/checkpoint and
 * nothing else. When a case has ended, no name is left in that directory.
 */
#define _GNU_SOURCE
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "orphan.h"
#include "relink.h"

FIXTURE(unlinked)
{
	struct stage stage;
};

FIXTURE_SETUP(unlinked)
{
	stage_set_up(_metadata, &self->stage);
}

FIXTURE_TEARDOWN(unlinked)
{
	stage_tear_down(_metadata, &self->stage);
}

/*
 * The program that relinking was proposed for. The descriptor's file lives on
 * as "b", a different file stands where it was opened.
 *
 * 1. open a, link a b, unlink a, create a anew.
 * 2. Checkpoint. On disk: one new name, of b's inode, which now has two; the
 *    new a is untouched.
 * 3. Restart, then write through the descriptor.
 * 4. The text is in b, b has one name again, the new a is untouched. Had the
 *    contents been copied instead, the text would have gone into the copy.
 */
SUBJECT(alias)
{
	int fd = new_file("a", "foo");

	MUST(link("a", "b"));
	MUST(unlink("a"));
	close(new_file("a", "new"));
	come_back();
	MUST_WRITE(fd, "bar");
	MUST_EQ(1, subject_stat(fd).st_nlink);
}

TEST_F(unlinked, alias_is_written_through)
{
	struct relinked relinked;
	ino_t b, new_a;

	self->stage.remains = "a b lost+found";
	ASSERT_CHECKPOINT(&self->stage, "alias");
	b = stat_of(_metadata, "b").st_ino;
	new_a = stat_of(_metadata, "a").st_ino;
	ASSERT_NE(b, new_a);
	relinked = ASSERT_RELINKED(1);
	ASSERT_INODE(b, 2, relinked.path[0]);
	ASSERT_HOLDS(relinked.path[0], "foo");

	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_HOLDS("b", "foobar");
	ASSERT_INODE(b, 1, "b");
	ASSERT_HOLDS("a", "new");
	ASSERT_INODE(new_a, 1, "a");
}

/*
 * As above, but b is gone as well: the file has no name at all and waits on the
 * filesystem's list of orphans. Linking must take it off that list, unlinking
 * must put it back.
 *
 * 1. open a, link a b, unlink both.
 * 2. Checkpoint. One name, link count 1, the contents; the original has ended,
 *    so this name is all that keeps the file.
 * 3. Restart. The same inode, link count 0, same contents and offset.
 * 4. It still cannot be linked by link(2).
 */
SUBJECT(orphan)
{
	int fd = new_file("a", "orphan");
	struct stat before;

	MUST(link("a", "b"));
	MUST(unlink("a"));
	MUST(unlink("b"));
	before = subject_stat(fd);
	MUST_EQ(0, before.st_nlink);
	tell("inode", before.st_ino);
	come_back();
	MUST_EQ(before.st_ino, subject_stat(fd).st_ino);
	MUST_EQ(before.st_dev, subject_stat(fd).st_dev);
	MUST_EQ(0, subject_stat(fd).st_nlink);
	MUST_EQ(6, lseek(fd, 0, SEEK_CUR));
	MUST_WRITE(fd, "age");
	MUST_HOLD("orphanage", fd);
	must_not_link(fd);
}

TEST_F(unlinked, orphan_comes_back)
{
	struct relinked relinked;

	ASSERT_CHECKPOINT(&self->stage, "orphan");
	relinked = ASSERT_RELINKED(1);
	ASSERT_INODE(SUBJECT_TOLD(&self->stage, "inode"), 1, relinked.path[0]);
	ASSERT_HOLDS(relinked.path[0], "orphan");

	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * Both files that had the name are open. Only the first needs a new one; a
 * restart that went by the old name would open the second file twice.
 *
 * 1. open a, unlink a; open a new a, keep it open too.
 * 2. Checkpoint. One name, of the first file.
 * 3. Restart. Two inodes, each with its own text.
 */
SUBJECT(reused_name)
{
	int first = new_orphan("a", "first");
	int second = new_file("a", "second");

	tell("first", subject_stat(first).st_ino);
	come_back();
	MUST_NE(subject_stat(first).st_ino, subject_stat(second).st_ino);
	MUST_HOLD("first", first);
	MUST_HOLD("second", second);
	MUST_EQ(0, subject_stat(first).st_nlink);
	MUST_EQ(1, subject_stat(second).st_nlink);
}

TEST_F(unlinked, name_reused_by_another_file)
{
	struct relinked relinked;

	self->stage.remains = "a lost+found";
	ASSERT_CHECKPOINT(&self->stage, "reused_name");
	relinked = ASSERT_RELINKED(1);
	ASSERT_INODE(SUBJECT_TOLD(&self->stage, "first"), 1, relinked.path[0]);
	ASSERT_HOLDS(relinked.path[0], "first");
	ASSERT_HOLDS("a", "second");

	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_HOLDS("a", "second");
}

/*
 * Two open files, not one descriptor duplicated, of one inode, each opened by a
 * name of its own.
 *
 * 1. open a, link a b, open b, unlink both.
 * 2. Checkpoint. A name for each open file or one for both, all of that inode.
 * 3. Restart. One inode; a write through one is read through the other; the
 *    offsets are separate.
 */
SUBJECT(two_opens)
{
	int a = new_file("a", "one");
	int b;

	MUST(link("a", "b"));
	b = MUST(open("b", O_RDWR));
	MUST(unlink("a"));
	MUST(unlink("b"));
	tell("inode", subject_stat(a).st_ino);
	come_back();
	MUST_EQ(subject_stat(a).st_ino, subject_stat(b).st_ino);
	MUST_EQ(0, subject_stat(a).st_nlink);
	MUST_WRITE(a, "two");
	MUST_HOLD("onetwo", b);
	MUST_EQ(6, lseek(a, 0, SEEK_CUR));
	MUST_EQ(0, lseek(b, 0, SEEK_CUR));
}

TEST_F(unlinked, two_descriptors_of_one_inode)
{
	struct relinked relinked;

	ASSERT_CHECKPOINT(&self->stage, "two_opens");
	relinked = ASSERT_RELINKED_BETWEEN(1, 2);
	for (int i = 0; i < relinked.count; i++)
		ASSERT_INODE(SUBJECT_TOLD(&self->stage, "inode"), relinked.count, relinked.path[i]);

	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * One open file behind two descriptors: one name, and one offset again.
 *
 * 1. open a, dup it to a number far off, unlink a.
 * 2. Checkpoint: one name. Restart.
 * 3. Reading through one descriptor moves the other.
 */
SUBJECT(duplicate)
{
	int fd = new_orphan("a", "0123456789");
	int copy = MUST(fcntl(fd, F_DUPFD_CLOEXEC, 40));
	char text[4];

	MUST(lseek(fd, 2, SEEK_SET));
	come_back();
	MUST_EQ(4, read(copy, text, 4));
	MUST_EQ(0, memcmp(text, "2345", 4));
	MUST_EQ(6, lseek(fd, 0, SEEK_CUR));
	MUST_EQ(0, fcntl(fd, F_GETFD));
	MUST_EQ(FD_CLOEXEC, fcntl(copy, F_GETFD));
}

TEST_F(unlinked, dup_shares_offset)
{
	ASSERT_CHECKPOINT(&self->stage, "duplicate");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A file that is opened again must not be opened differently: access mode,
 * O_APPEND, O_NONBLOCK and offset belong to the open file.
 *
 * 1. open one file read-only, one write-only, one to append, each with an
 *    offset; unlink all.
 * 2. Checkpoint: three names. Restart.
 * 3. Flags and offsets as before; each still does what its mode says, and only
 *    that.
 */
SUBJECT(modes)
{
	int reader, writer, appender, flags[3];
	char text[3];

	close(new_file("reader", "0123456789"));
	close(new_file("appender", "0123456789"));
	reader = MUST(open("reader", O_RDONLY | O_NONBLOCK));
	writer = MUST(open("writer", O_WRONLY | O_CREAT | O_EXCL, 0400));
	appender = MUST(open("appender", O_RDWR | O_APPEND));
	MUST(unlink("reader"));
	MUST(unlink("writer"));
	MUST(unlink("appender"));
	MUST(lseek(reader, 7, SEEK_SET));
	MUST_WRITE(writer, "abc");
	MUST(lseek(appender, 2, SEEK_SET));
	flags[0] = MUST(fcntl(reader, F_GETFL));
	flags[1] = MUST(fcntl(writer, F_GETFL));
	flags[2] = MUST(fcntl(appender, F_GETFL));

	come_back();

	MUST_EQ(flags[0], fcntl(reader, F_GETFL));
	MUST_EQ(flags[1], fcntl(writer, F_GETFL));
	MUST_EQ(flags[2], fcntl(appender, F_GETFL));
	MUST_EQ(7, lseek(reader, 0, SEEK_CUR));
	MUST_EQ(3, lseek(writer, 0, SEEK_CUR));
	MUST_EQ(2, lseek(appender, 0, SEEK_CUR));

	MUST_EQ(3, read(reader, text, 3));
	MUST_EQ(0, memcmp(text, "789", 3));
	MUST_FAIL(-EBADF, write(reader, text, 1));
	MUST_FAIL(-EBADF, read(writer, text, 1));
	MUST_WRITE(writer, "def");
	MUST_EQ(6, subject_stat(writer).st_size);
	MUST_WRITE(appender, "end");
	MUST_HOLD("0123456789end", appender);
}

TEST_F(unlinked, offset_and_flags_kept)
{
	ASSERT_CHECKPOINT(&self->stage, "modes");
	ASSERT_RELINKED(3);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * rename() over an open file takes its name as unlink() does, but the name is
 * there and leads to another file.
 *
 * 1. open target; rename source over it.
 * 2. Checkpoint: one name, of the old target. Restart.
 * 3. The descriptor has the old text, target the new.
 */
SUBJECT(renamed)
{
	int fd = new_file("target", "old");

	close(new_file("source", "new"));
	MUST(rename("source", "target"));
	MUST_EQ(0, subject_stat(fd).st_nlink);
	tell("inode", subject_stat(fd).st_ino);
	come_back();
	MUST_EQ(0, subject_stat(fd).st_nlink);
	MUST_WRITE(fd, "er");
	MUST_HOLD("older", fd);
}

TEST_F(unlinked, renamed_over)
{
	struct relinked relinked;

	self->stage.remains = "lost+found target";
	ASSERT_CHECKPOINT(&self->stage, "renamed");
	relinked = ASSERT_RELINKED(1);
	ASSERT_INODE(SUBJECT_TOLD(&self->stage, "inode"), 1, relinked.path[0]);
	ASSERT_HOLDS(relinked.path[0], "old");

	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_HOLDS("target", "new");
}

/*
 * A mapping holds its file without a descriptor.
 *
 * 1. map a shared, close it, link a b, unlink a.
 * 2. Checkpoint. One name, of b's inode. Restart.
 * 3. The mapping shows the file and reaches it: what is written to memory is
 *    read from b.
 */
SUBJECT(mapping)
{
	int fd = new_file("a", "mapped");
	char *memory;

	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		SUBJECT_FAIL("mmap: %s", errno_text(-errno).text);
	close(fd);
	MUST(link("a", "b"));
	MUST(unlink("a"));
	come_back();
	MUST_EQ(0, memcmp(memory, "mapped", 6));
	memcpy(memory, "MAP", 3);
	MUST(msync(memory, 4096, MS_SYNC));
}

TEST_F(unlinked, mapped_only)
{
	struct relinked relinked;
	ino_t b;

	self->stage.remains = "b lost+found";
	ASSERT_CHECKPOINT(&self->stage, "mapping");
	relinked = ASSERT_RELINKED(1);
	b = stat_of(_metadata, "b").st_ino;
	ASSERT_INODE(b, 2, relinked.path[0]);

	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_HOLDS("b", "MAPped");
	ASSERT_INODE(b, 1, "b");
}

/*
 * A task that goes on after its checkpoint is checkpointed again. Its file has
 * a name now, but not the one it was opened by.
 *
 * 1. open a, unlink a. First checkpoint; the original goes on and writes.
 * 2. Second checkpoint, the original ends. All names are of the one inode.
 * 3. Restart from the second image: the text written in between is there.
 * 4. At most the first checkpoint's name is left: its image still needs it.
 */
SUBJECT(periodic)
{
	int fd = new_orphan("a", "first");
	ino_t inode = subject_stat(fd).st_ino;
	enum role role;

	tell("inode", inode);
	role = event();
	if (role == REFUSED)
		return;
	MUST_EQ(ORIGINAL, role);
	MUST_WRITE(fd, "second");
	come_back();
	MUST_EQ(inode, subject_stat(fd).st_ino);
	MUST_HOLD("firstsecond", fd);
	MUST_EQ(11, lseek(fd, 0, SEEK_CUR));
	tell("links", subject_stat(fd).st_nlink);
}

TEST_F(unlinked, checkpoint_twice)
{
	struct relinked relinked;

	ASSERT_CHECKPOINT(&self->stage, "periodic");
	ASSERT_EQ(2, self->stage.checkpoints);
	relinked = ASSERT_RELINKED_BETWEEN(1, 2);
	for (int i = 0; i < relinked.count; i++)
		ASSERT_INODE(SUBJECT_TOLD(&self->stage, "inode"), relinked.count, relinked.path[i]);

	ASSERT_RESTART(&self->stage);
	relinked = ASSERT_RELINKED_BETWEEN(0, 1);
	ASSERT_EQ(relinked.count, (int)SUBJECT_TOLD(&self->stage, "links"));
	for (int i = 0; i < relinked.count; i++)
		ASSERT_OK(unlink(relinked.path[i]));
}

/*
 * Giving a file without a name a name was taken from link(2) on purpose
 * (commit aae8a97d3ec3), and stays taken: no privilege and no detour through
 * /proc makes it work. The same before the series and after it.
 */
TEST_F(unlinked, linkat_of_unlinked_stays_enoent)
{
	cleanup_close int fd = ASSERT_OK(open("a", O_RDWR | O_CREAT | O_EXCL, 0600));
	struct stat found;
	char proc[32];

	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	ASSERT_OK(unlink("a"));
	ASSERT_ERRNO_EQ(-ENOENT, linkat(fd, "", AT_FDCWD, "linked", AT_EMPTY_PATH));
	ASSERT_ERRNO_EQ(-ENOENT, linkat(AT_FDCWD, proc, AT_FDCWD, "linked", AT_SYMLINK_FOLLOW));
	ASSERT_OK(fstat(fd, &found));
	ASSERT_EQ(0, (int)found.st_nlink);
	ASSERT_NAMES(".", "lost+found");
}

/*
 * Files that have their names need nothing: no name is made, and none is taken
 * away. The same before the series and after it.
 *
 * 1. open a and a directory. Checkpoint: lost+found/checkpoint is empty.
 * 2. Restart. Same files, same link counts.
 */
SUBJECT(linked)
{
	int fd = new_file("a", "linked");
	int folder = MUST(open("lost+found", O_RDONLY | O_DIRECTORY));
	struct stat before = subject_stat(fd);
	struct stat folder_before = subject_stat(folder);

	tell("inode", before.st_ino);
	come_back();
	MUST_EQ(before.st_ino, subject_stat(fd).st_ino);
	MUST_EQ(1, subject_stat(fd).st_nlink);
	MUST_EQ(folder_before.st_ino, subject_stat(folder).st_ino);
	MUST_HOLD("linked", fd);
}

TEST_F(unlinked, linked_file_needs_no_relinking)
{
	self->stage.remains = "a lost+found";
	ASSERT_CHECKPOINT(&self->stage, "linked");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_RESTART(&self->stage);
	ASSERT_INODE(SUBJECT_TOLD(&self->stage, "inode"), 1, "a");
}

/*
 * The name a file was opened by was removed, and is one of its names again.
 * The dentry that the descriptor holds does not know; the filesystem does.
 *
 * 1. open a, link a b, unlink a, link b a.
 * 2. Checkpoint: no name is made. Restart.
 * 3. The same inode, both names are there.
 */
SUBJECT(linked_back)
{
	int fd = new_file("a", "foo");
	ino_t inode = subject_stat(fd).st_ino;

	MUST(link("a", "b"));
	MUST(unlink("a"));
	MUST(link("b", "a"));
	tell("inode", inode);
	come_back();
	MUST_EQ(inode, subject_stat(fd).st_ino);
	MUST_EQ(2, subject_stat(fd).st_nlink);
	MUST_WRITE(fd, "bar");
}

TEST_F(unlinked, name_linked_back_is_used)
{
	self->stage.remains = "a b lost+found";
	ASSERT_CHECKPOINT(&self->stage, "linked_back");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_RESTART(&self->stage);
	ASSERT_INODE(SUBJECT_TOLD(&self->stage, "inode"), 2, "a");
	ASSERT_HOLDS("b", "foobar");
}

/*
 * An image is restarted as often as one likes if its names are kept.
 *
 * 1. open and unlink a.
 * 2. Checkpoint. Restart with RESTART_KEEP_RELINKED, twice: it is the same
 *    inode, with the link that its name is.
 * 3. Restart without the flag: the file is unlinked and the name is gone.
 */
SUBJECT(kept)
{
	int fd = new_orphan("a", "orphan");

	tell("inode", subject_stat(fd).st_ino);
	come_back();
	tell("links", subject_stat(fd).st_nlink);
	MUST_HOLD("orphan", fd);
}

TEST_F(unlinked, names_kept_for_another_restart)
{
	struct relinked relinked;

	ASSERT_CHECKPOINT(&self->stage, "kept");
	relinked = ASSERT_RELINKED(1);
	self->stage.restart_flags = RESTART_KEEP_RELINKED;
	for (int i = 0; i < 2; i++) {
		ASSERT_RESTART(&self->stage);
		ASSERT_EQ(1, SUBJECT_TOLD(&self->stage, "links"));
		ASSERT_INODE(SUBJECT_TOLD(&self->stage, "inode"), 1, relinked.path[0]);
		ASSERT_HOLDS(relinked.path[0], "orphan");
	}
	self->stage.restart_flags = 0;
	ASSERT_RESTART(&self->stage);
	ASSERT_EQ(0, SUBJECT_TOLD(&self->stage, "links"));
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A file that was opened with O_TMPFILE never had a name, and unlike one that
 * was unlinked may be given one, unless O_EXCL said that it must not.
 *
 * 1. open two with O_TMPFILE, one of them with O_EXCL.
 * 2. Checkpoint: two names. Restart.
 * 3. Neither has a link; link(2) makes one for the first, not for the second.
 */
SUBJECT(temporary)
{
	int open_one = MUST(open(".", O_RDWR | O_TMPFILE, 0600));
	int closed_one = MUST(open(".", O_RDWR | O_TMPFILE | O_EXCL, 0600));

	MUST_WRITE(open_one, "open");
	MUST_WRITE(closed_one, "closed");
	come_back();
	MUST_EQ(0, subject_stat(open_one).st_nlink);
	MUST_EQ(0, subject_stat(closed_one).st_nlink);
	MUST_HOLD("open", open_one);
	MUST_HOLD("closed", closed_one);
	must_not_link(closed_one);
	MUST(linkat(open_one, "", AT_FDCWD, "linked", AT_EMPTY_PATH));
	MUST_EQ(1, subject_stat(open_one).st_nlink);
}

TEST_F(unlinked, tmpfile_can_still_be_linked)
{
	self->stage.remains = "linked lost+found";
	ASSERT_CHECKPOINT(&self->stage, "temporary");
	ASSERT_RELINKED(2);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_HOLDS("linked", "open");
}

/*
 * The kernel does not make lost+found/checkpoint: who lets tasks be
 * checkpointed decides where names may appear. Without it the checkpoint is
 * refused, and nothing is made elsewhere.
 */
SUBJECT(no_directory)
{
	int fd = new_orphan("a", "orphan");

	if (event() != REFUSED)
		return;
	MUST_EQ(0, subject_stat(fd).st_nlink);
	MUST_HOLD("orphan", fd);
	must_not_link(fd);
}

TEST_F(unlinked, checkpoint_dir_missing)
{
	ASSERT_OK(rmdir(CHECKPOINT_DIR));
	ASSERT_CHECKPOINT_ERRNO(-ENOENT, &self->stage, "no_directory");
	ASSERT_NAMES("lost+found", "");
}

/*
 * A checkpoint that fails takes back the names it made.
 *
 * 1. open three files and unlink them; make the second immutable, which forbids
 *    linking it.
 * 2. Checkpoint: EPERM, when the first file has its name already.
 * 3. No name is left; the task goes on with all three, none can be linked.
 */
SUBJECT(second_file_immutable)
{
	int first = new_orphan("first", "1");
	int second = new_orphan("second", "2");
	int third = new_orphan("third", "3");
	int flags = 0;

	MUST(ioctl(second, FS_IOC_GETFLAGS, &flags));
	flags |= FS_IMMUTABLE_FL;
	MUST(ioctl(second, FS_IOC_SETFLAGS, &flags));
	if (event() != REFUSED)
		return;
	MUST_EQ(0, subject_stat(first).st_nlink);
	MUST_EQ(0, subject_stat(second).st_nlink);
	MUST_EQ(0, subject_stat(third).st_nlink);
	MUST_HOLD("1", first);
	MUST_HOLD("2", second);
	MUST_HOLD("3", third);
	must_not_link(first);
	must_not_link(third);
	flags &= ~FS_IMMUTABLE_FL;
	MUST(ioctl(second, FS_IOC_SETFLAGS, &flags));
}

TEST_F(unlinked, failed_checkpoint_leaves_no_names)
{
	ASSERT_CHECKPOINT_ERRNO(-EPERM, &self->stage, "second_file_immutable");
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_NAMES("lost+found", "checkpoint");
}

/*
 * Between checkpoint and restart the name is in the hands of whoever may write
 * to the directory. A restart must neither open nor unlink what it did not
 * make, and a restart that failed must not spend the name.
 *
 * 1. open a, unlink a. Checkpoint; move the new name aside.
 * 2. The name is missing: ENOENT.
 * 3. The name is another file's: ESTALE; it stays.
 * 4. The name is a symbolic link, to the right file at that: ELOOP; it stays.
 * 5. The name is a directory: EINVAL; it stays.
 * 6. Move the name back: the restart succeeds after all.
 */
SUBJECT(displaced)
{
	int fd = new_orphan("a", "mine");
	ino_t inode = subject_stat(fd).st_ino;

	come_back();
	MUST_EQ(inode, subject_stat(fd).st_ino);
	MUST_EQ(0, subject_stat(fd).st_nlink);
	MUST_HOLD("mine", fd);
}

TEST_F(unlinked, restart_refuses_foreign_name)
{
	struct relinked relinked;
	const char *name;

	ASSERT_CHECKPOINT(&self->stage, "displaced");
	relinked = ASSERT_RELINKED(1);
	name = relinked.path[0];
	ASSERT_OK(rename(name, "aside"));

	ASSERT_RESTART_ERRNO(-ENOENT, &self->stage);

	make_file(_metadata, name, "foreign");
	ASSERT_RESTART_ERRNO(-ESTALE, &self->stage);
	ASSERT_HOLDS(name, "foreign");
	ASSERT_OK(unlink(name));

	ASSERT_OK(symlink("../../aside", name));
	ASSERT_RESTART_ERRNO(-ELOOP, &self->stage);
	ASSERT_TRUE(S_ISLNK(stat_of(_metadata, name).st_mode));
	ASSERT_OK(unlink(name));

	ASSERT_OK(mkdir(name, 0700));
	ASSERT_RESTART_ERRNO(-EINVAL, &self->stage);
	ASSERT_TRUE(S_ISDIR(stat_of(_metadata, name).st_mode));
	ASSERT_OK(rmdir(name));

	ASSERT_OK(rename("aside", name));
	ASSERT_RESTART(&self->stage);
}

static void set_immutable(struct __test_metadata *_metadata, const char *path, bool immutable)
{
	cleanup_close int fd = ASSERT_OK(open(path, O_RDONLY));
	int flags = 0;

	ASSERT_OK(ioctl(fd, FS_IOC_GETFLAGS, &flags));
	flags = immutable ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
	ASSERT_OK(ioctl(fd, FS_IOC_SETFLAGS, &flags));
}

/*
 * A name that can be opened but not removed: what is found out when the task
 * has come back is found out too late.
 *
 * 1. open a for reading, unlink a. Checkpoint; make the name immutable.
 * 2. Restart: EPERM, before anything has changed. The name is kept.
 * 3. Take that back: the restart succeeds.
 */
SUBJECT(for_reading)
{
	int fd;

	close(new_file("a", "read"));
	fd = MUST(open("a", O_RDONLY));
	MUST(unlink("a"));
	come_back();
	MUST_HOLD("read", fd);
	MUST_EQ(0, subject_stat(fd).st_nlink);
}

TEST_F(unlinked, name_that_cannot_be_removed)
{
	struct relinked relinked;

	ASSERT_CHECKPOINT(&self->stage, "for_reading");
	relinked = ASSERT_RELINKED(1);
	set_immutable(_metadata, relinked.path[0], true);
	ASSERT_RESTART_ERRNO(-EPERM, &self->stage);
	ASSERT_RELINKED(1);
	set_immutable(_metadata, relinked.path[0], false);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/* Exchanges a path in the image for another, filled up with slashes to the same length. */
static void forge(struct __test_metadata *_metadata, const char *image, const char *path, const char *other)
{
	cleanup_close int fd = ASSERT_OK(open(image, O_RDWR));
	size_t size = ASSERT_OK(lseek(fd, 0, SEEK_END));
	cleanup_free char *bytes = malloc(size);
	size_t length = strlen(path);
	char *at;

	ASSERT_EQ((ssize_t)size, pread(fd, bytes, size, 0));
	at = memmem(bytes, size, path, length);
	if (!at)
		FAIL("the image does not name %s", path);
	ASSERT_GE(length, strlen(other));
	memset(at, '/', length);
	memcpy(at + length - strlen(other), other, strlen(other));
	ASSERT_EQ((ssize_t)size, pwrite(fd, bytes, size, 0));
}

/*
 * An image may come from anybody, and says which name the kernel is to unlink.
 * A name that no checkpoint makes must not be believed.
 *
 * 1. open a, unlink a. Checkpoint; forge the name in the image:
 * 2. another file; the same by way of lost+found/checkpoint; a file there
 *    whose name is not of the right form. EINVAL each time, all files stay.
 * 3. Put the name right: the restart succeeds.
 */
TEST_F(unlinked, restart_refuses_forged_name)
{
	static const char *const forged[] = {
		"%s/victim",
		"%s/" CHECKPOINT_DIR "/../../victim",
		"%s/" CHECKPOINT_DIR "/precious",
		"%s/" CHECKPOINT_DIR "/unlink-at-restart-1-1",
	};
	char image[256], here[64], path[512], name[512];
	struct relinked relinked;

	self->stage.remains = "lost+found victim";
	make_file(_metadata, "victim", "not yours");
	ASSERT_NE(NULL, getcwd(here, sizeof(here)));
	ASSERT_CHECKPOINT(&self->stage, "displaced");
	relinked = ASSERT_RELINKED(1);
	make_file(_metadata, CHECKPOINT_DIR "/precious", "not yours");
	make_file(_metadata, CHECKPOINT_DIR "/unlink-at-restart-1-1", "not yours");
	subject_path(image, sizeof(image), self->stage.folder, "image", 1);
	snprintf(path, sizeof(path), "%s/%s", here, relinked.path[0]);

	for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
		snprintf(name, sizeof(name), forged[i], here);
		forge(_metadata, image, path, name);
		TH_LOG("the image says %s", name);
		ASSERT_RESTART_ERRNO(-EINVAL, &self->stage);
		memset(path, '/', strlen(path));
		memcpy(path + strlen(path) - strlen(name), name, strlen(name));
	}
	ASSERT_HOLDS("victim", "not yours");
	ASSERT_HOLDS(CHECKPOINT_DIR "/precious", "not yours");
	ASSERT_HOLDS(CHECKPOINT_DIR "/unlink-at-restart-1-1", "not yours");
	ASSERT_OK(unlink(CHECKPOINT_DIR "/precious"));
	ASSERT_OK(unlink(CHECKPOINT_DIR "/unlink-at-restart-1-1"));

	snprintf(name, sizeof(name), "%s/%s", here, relinked.path[0]);
	forge(_metadata, image, path, name);
	ASSERT_RESTART(&self->stage);
}

/*
 * Where the file was opened there is a directory now.
 *
 * 1. open a, unlink a, mkdir a.
 * 2. Checkpoint: one name, of the file. Restart.
 * 3. The descriptor is the file, a is a directory still.
 */
SUBJECT(name_is_directory)
{
	int fd = new_orphan("a", "file");

	MUST(mkdir("a", 0700));
	come_back();
	must_be_orphan(fd, "file");
}

TEST_F(unlinked, name_is_now_a_directory)
{
	self->stage.remains = "a lost+found";
	ASSERT_CHECKPOINT(&self->stage, "name_is_directory");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_TRUE(S_ISDIR(stat_of(_metadata, "a").st_mode));
}

/*
 * d_path() shows an unlinked file as "a (deleted)". An image that held this
 * text as a name would open whatever file is called so.
 *
 * 1. open a, unlink a; make a file called "a (deleted)".
 * 2. Checkpoint: one name, of a's inode. Restart.
 * 3. The descriptor is a's inode; the other file is untouched.
 */
SUBJECT(called_deleted)
{
	int fd = new_orphan("a", "mine");

	close(new_file("a (deleted)", "other"));
	tell("inode", subject_stat(fd).st_ino);
	come_back();
	must_be_orphan(fd, "mine");
}

TEST_F(unlinked, a_file_called_deleted_is_another)
{
	struct relinked relinked;

	self->stage.remains = "a (deleted) lost+found";
	ASSERT_CHECKPOINT(&self->stage, "called_deleted");
	relinked = ASSERT_RELINKED(1);
	ASSERT_INODE(SUBJECT_TOLD(&self->stage, "inode"), 1, relinked.path[0]);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_HOLDS("a (deleted)", "other");
}

/*
 * The directory the file was in has nothing to do with it any more: nobody
 * needs to be able to write to it, nor to enter it.
 *
 * 1. mkdir d, open d/a, unlink d/a, make d inaccessible.
 * 2. Checkpoint: one name. Restart. The file is there.
 */
SUBJECT(parent_closed)
{
	int fd;

	MUST(mkdir("d", 0700));
	fd = new_orphan("d/a", "within");
	MUST(chmod("d", 0));
	come_back();
	must_be_orphan(fd, "within");
}

TEST_F(unlinked, parent_that_nobody_may_enter)
{
	self->stage.remains = "d lost+found";
	ASSERT_CHECKPOINT(&self->stage, "parent_closed");
	ASSERT_RELINKED(1);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	ASSERT_EQ(0, (int)(stat_of(_metadata, "d").st_mode & 07777));
}

/*
 * A name may hold everything but a slash and NUL. The log must not be torn by
 * it, and the image does not hold it at all.
 *
 * 1. open a name with a newline, a quote, a backslash, a percent sign, bytes
 *    that are no UTF-8, and " (deleted)" at its end; unlink it. The same again
 *    with 255 bytes.
 * 2. Checkpoint: two names of the usual form. Restart.
 */
#define ODD_NAME "new\nline \"quote' back\\slash %s%n \377\376 (deleted)"

SUBJECT(odd_name)
{
	char longest[256];
	int odd, full;

	memset(longest, 'n', 255);
	longest[255] = '\0';
	odd = new_orphan(ODD_NAME, "odd");
	full = new_orphan(longest, "long");
	come_back();
	must_be_orphan(odd, "odd");
	must_be_orphan(full, "long");
}

TEST_F(unlinked, odd_characters_in_the_name)
{
	ASSERT_CHECKPOINT(&self->stage, "odd_name");
	ASSERT_RELINKED(2);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * Names are told apart by a counter; the directory may need to grow for them,
 * and shrink or not when they go.
 *
 * 1. open MANY files with contents of their own, unlink all.
 * 2. Checkpoint: MANY names, one link each. Restart: no name.
 * 3. Each descriptor has its own contents.
 */
enum { MANY = 1500 };

static int allow_many(void)
{
	struct rlimit limit = { MANY + 64, MANY + 64 };

	return setrlimit(RLIMIT_NOFILE, &limit);
}

SUBJECT(many)
{
	static int fds[MANY];
	char text[16];

	MUST(allow_many());
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "%d", i);
		fds[i] = new_orphan("a", text);
	}
	come_back();
	for (int i = 0; i < MANY; i++) {
		snprintf(text, sizeof(text), "%d", i);
		MUST_EQ(0, subject_stat(fds[i]).st_nlink);
		MUST_HOLD(text, fds[i]);
	}
}

static int count_names(struct __test_metadata *_metadata, const char *path)
{
	cleanup_closedir DIR *dir = opendir(path);
	struct dirent *entry;
	int count = 0;

	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir))) {
		if (strstr(entry->d_name, "unlink-at-restart-") != entry->d_name)
			continue;
		count++;
	}
	return count;
}

TEST_F_TIMEOUT(unlinked, fifteen_hundred_files, 300)
{
	self->stage.before_restart = allow_many;
	ASSERT_CHECKPOINT(&self->stage, "many");
	ASSERT_EQ(MANY, count_names(_metadata, CHECKPOINT_DIR));
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
}

/*
 * A whole tree that is held, is removed and is made again with the same names.
 *
 * 1. make a tree of three levels; hold its directories and files; remove all;
 *    make a tree of the same names and other contents.
 * 2. Checkpoint: a name for each file and directory that is held.
 * 3. Restart: what is held has the old contents, the new tree the new ones.
 */
static const char *const TREE_DIRECTORIES[] = { "tree", "tree/a", "tree/b", "tree/a/c", "tree/a/c/d" };
static const char *const TREE_FILES[] = { "tree/1", "tree/a/2", "tree/a/3", "tree/b/4", "tree/a/c/5", "tree/a/c/d/6" };

enum { DIRECTORIES = 5, FILES = 6 };

SUBJECT(tree)
{
	int directories[DIRECTORIES], files[FILES];
	char entries[64];

	for (int i = 0; i < DIRECTORIES; i++)
		directories[i] = new_directory(TREE_DIRECTORIES[i]);
	for (int i = 0; i < FILES; i++)
		files[i] = new_orphan(TREE_FILES[i], TREE_FILES[i]);
	for (int i = DIRECTORIES - 1; i >= 0; i--)
		MUST(rmdir(TREE_DIRECTORIES[i]));
	for (int i = 0; i < DIRECTORIES; i++)
		MUST(mkdir(TREE_DIRECTORIES[i], 0700));
	for (int i = 0; i < FILES; i++)
		close(new_file(TREE_FILES[i], "new"));
	come_back();
	for (int i = 0; i < FILES; i++)
		must_be_orphan(files[i], TREE_FILES[i]);
	for (int i = 0; i < DIRECTORIES; i++)
		MUST_FAIL(-ENOENT, syscall(SYS_getdents64, directories[i], entries, sizeof(entries)));
}

TEST_F(unlinked, tree_that_was_made_again)
{
	self->stage.remains = "lost+found tree";
	ASSERT_CHECKPOINT(&self->stage, "tree");
	ASSERT_RELINKED(DIRECTORIES + FILES);
	ASSERT_RESTART(&self->stage);
	ASSERT_NAMES(CHECKPOINT_DIR, "");
	for (int i = FILES - 1; i >= 0; i--) {
		ASSERT_HOLDS(TREE_FILES[i], "new");
		ASSERT_OK(unlink(TREE_FILES[i]));
	}
	for (int i = DIRECTORIES - 1; i > 0; i--)
		ASSERT_OK(rmdir(TREE_DIRECTORIES[i]));
}

SUBJECT_HARNESS_MAIN
