/*
 * cut <mount point>: shuts an ext4 file system down as a loss of power does. Its journal is not flushed, and what is in
 * memory never reaches the disk.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define EXT4_IOC_SHUTDOWN _IOR('X', 125, uint32_t)
#define EXT4_GOING_FLAGS_NOLOGFLUSH 2

int main(int count, char **arguments) {
  uint32_t how = EXT4_GOING_FLAGS_NOLOGFLUSH;
  if (count != 2) return 64;
  int folder = open(arguments[1], O_RDONLY);
  if (folder < 0 || ioctl(folder, EXT4_IOC_SHUTDOWN, &how) != 0) {
    perror(arguments[1]);
    return 1;
  }
  return 0;
}
