"""Folders that a configuration comes to, and those it does not."""

from harness.kernel.kbuild import reached

MAKEFILES = {
    "kernel": "obj-y = fork.o exit.o\nobj-$(CONFIG_CHECKPOINT) += checkpoint/\nobj-y += sched/\n",
    "fs": "obj-$(CONFIG_EXT4_FS)\t\t+= ext4/\nobj-$(CONFIG_A) += \\\n\tx.o odd/\nobj-$(CONFIG_B) += odd/\n",
    "fs/odd": "",
}


def is_reached(file, *options):
    return reached(file, options, lambda folder: MAKEFILES.get(folder, ""))


def test_a_folder_behind_an_option():
    assert is_reached("kernel/checkpoint/sys.c", "CONFIG_CHECKPOINT")
    assert not is_reached("kernel/checkpoint/sys.c", "CONFIG_EXT4_FS")
    assert is_reached("kernel/sched/core.c")
    assert is_reached("kernel/fork.c")


def test_a_folder_with_two_ways_in_and_one_that_nobody_speaks_of():
    assert not is_reached("fs/odd/deep/a.c")
    assert is_reached("fs/odd/deep/a.c", "CONFIG_A")
    assert is_reached("fs/odd/deep/a.c", "CONFIG_B")
    assert is_reached("arch/x86/kernel/a.c")
