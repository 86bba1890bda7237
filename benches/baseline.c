/* The bare file work of a first update: the homes that ddum would make, with their skeleton and keys, made by a program
 * that checks nothing, then one syncfs(2). Usage: baseline DIR COUNT BYTES-OF-KEYS */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void put(int dir, const char *name, const char *bytes, size_t length, mode_t mode, uid_t id)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, mode);
    if (fd < 0 || write(fd, bytes, length) != (ssize_t)length || fchown(fd, id, id) != 0 || close(fd) != 0) {
        perror(name);
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return 2;
    int count = atoi(argv[2]);
    size_t length = (size_t)atol(argv[3]);
    char *keys = malloc(length), skeleton[3600];
    memset(keys, 'k', length);
    memset(skeleton, 's', sizeof skeleton);
    int base = open(argv[1], O_RDONLY | O_DIRECTORY);
    for (int i = 0; i < count; i++) {
        char name[32];
        uid_t id = (uid_t)(20000 + i);
        snprintf(name, sizeof name, "user%05d", i);
        mkdirat(base, name, 0700);
        int home = openat(base, name, O_RDONLY | O_DIRECTORY);
        put(home, ".bash_logout", skeleton, 220, 0644, id);
        put(home, ".bashrc", skeleton, 3526, 0644, id);
        put(home, ".profile", skeleton, 807, 0644, id);
        mkdirat(home, ".ssh", 0700);
        int ssh = openat(home, ".ssh", O_RDONLY | O_DIRECTORY);
        put(ssh, "authorized_keys", keys, length, 0600, id);
        if (fchown(ssh, id, id) != 0 || fchown(home, id, id) != 0)
            perror(name);
        close(ssh);
        close(home);
    }
    return syncfs(base) == 0 ? 0 : 1;
}
