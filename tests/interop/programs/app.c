/* Prints who it is, what it was given and what it may do, for the interop tests. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void attempt(const char *path)
{
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    printf("write %s: %s\n", path, file < 0 ? strerror(errno) : "done");
    if (file >= 0)
        close(file);
}

static void status(void)
{
    char line[256];
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, "Cap", 3) || !strncmp(line, "NoNewPrivs", 10) ||
            !strncmp(line, "Groups", 6))
            fputs(line, stdout);
    if (file)
        fclose(file);
}

static void show(const char *path)
{
    char line[256];
    FILE *file = fopen(path, "r");
    if (!file) {
        printf("%s: %s\n", path, strerror(errno));
        return;
    }
    while (fgets(line, sizeof line, file))
        printf("%s: %s", path, line);
    fclose(file);
}

int main(int count, char **arguments)
{
    char folder[256];
    struct stat found;
    const char *log = getenv("LOG");
    setbuf(stdout, NULL);
    printf("user %d:%d\n", (int)getuid(), (int)getgid());
    for (int i = 0; i < count; i++)
        printf("argument %d: %s\n", i, arguments[i]);
    printf("folder %s\n", getcwd(folder, sizeof folder) ? folder : strerror(errno));
    printf("LOG %s\n", log ? log : "is not set");
    status();
    attempt("/written");
    attempt("/usr/bin/app");
    attempt("/etc/app/written");
    attempt("/data/written");
    show("/etc/app/app.conf");
    printf("/app/server: %s\n", stat("/app/server", &found) ? strerror(errno) : "found");
    printf("/bin/sh: %s\n", stat("/bin/sh", &found) ? strerror(errno) : "found");
    return 7;
}
