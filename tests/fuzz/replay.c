/* replay.c - runs a fuzz target over a folder of inputs, each whole and cut at every length. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

enum { INPUT_BYTES_MAX = 1 << 16, CUT_BYTES_MAX = 512 };

static int replay(const char *folder, const char *name)
{
    static uint8_t input[INPUT_BYTES_MAX];
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    size_t size = fread(input, 1, sizeof input, file);
    fclose(file);
    LLVMFuzzerTestOneInput(input, size);
    for (size_t cut = 0; cut < size && cut < CUT_BYTES_MAX; cut++)
        LLVMFuzzerTestOneInput(input, cut);
    return 0;
}

int main(int count, char **arguments)
{
    if (count != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", arguments[0]);
        return 2;
    }
    DIR *folder = opendir(arguments[1]);
    if (folder == NULL) {
        perror(arguments[1]);
        return 2;
    }
    int inputs = 0, failures = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        failures += replay(arguments[1], entry->d_name);
        inputs++;
    }
    closedir(folder);
    printf("%d inputs replayed\n", inputs);
    return inputs == 0 || failures > 0;
}
