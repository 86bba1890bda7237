/* Reads the four account files again and again, as any program does that looks up a user, and complains when one is
 * missing, empty, cut short or without an account that has been there all the time.
 *
 *     watch ETC FILE=NAME...    until its standard input ends; prints how often it read, exits 1 after a complaint
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROOM = 4 << 20 };

static const char *const files[] = {"passwd", "group", "shadow", "gshadow"};
static char text[ROOM + 2];
static int complaints;

static void complain(const char *file, const char *what) {
    complaints++;
    if (complaints <= 20)
        printf("%s: %s\n", file, what);
}

/* The whole file into `text`, with a newline before it; its length. */
static size_t read_whole(int fd) {
    size_t length = 1;
    text[0] = '\n';
    for (;;) {
        ssize_t got = read(fd, text + length, ROOM - length);
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    text[length] = 0;
    return length;
}

static void look(int etc, const char *file, char **wanted) {
    char line[128], said[160];
    int fd = openat(etc, file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        complain(file, strerror(errno));
        return;
    }
    size_t length = read_whole(fd);
    close(fd);
    if (length < 2 || text[length - 1] != '\n')
        complain(file, length < 2 ? "empty" : "ends within a line");
    size_t long_name = strlen(file);
    for (; *wanted; wanted++) {
        const char *name = *wanted + long_name + 1;
        if (strncmp(*wanted, file, long_name) || (*wanted)[long_name] != '=')
            continue;
        snprintf(line, sizeof line, "\n%s:", name);
        if (!strstr(text, line)) {
            snprintf(said, sizeof said, "%s is missing", name);
            complain(file, said);
        }
    }
}

int main(int count, char **arguments) {
    if (count < 3)
        return 2;
    int etc = open(arguments[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (etc < 0) {
        perror(arguments[1]);
        return 2;
    }
    struct pollfd input = {.fd = 0, .events = POLLIN};
    long rounds = 0;
    /* The pause leaves the processors to those who write. */
    while (poll(&input, 1, 1) == 0) {
        for (size_t at = 0; at < sizeof files / sizeof *files; at++)
            look(etc, files[at], arguments + 2);
        rounds++;
    }
    printf("read %ld times\n", 4 * rounds);
    return complaints != 0;
}
